"""The emulator of AWS, ministack, and its clients: everything but EC2."""

import os
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import boto3
import botocore.config

from .loopback import HOST, answers, free_port
from .processes import Process, descendants, variables

REGION = "us-east-1"
# Made up: nothing here checks them, and nobody's own may come near.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
# What a process needs of ours; the operator's profile, endpoints and credentials are none of it.
KEPT = ("PATH", "HOME", "LANG", "CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR", "LD_LIBRARY_PATH")
FUNCTION_VARIABLE = "AWS_LAMBDA_FUNCTION_NAME"


def bare_environment() -> dict[str, str]:
    # A configuration of the operator's could name another endpoint.
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    return {name: os.environ[name] for name in KEPT if name in os.environ} | nothing


class Aws:
    """ministack on a port of loopback."""

    def __init__(self, state: Path):
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        # The functions inherit this environment.
        environment = bare_environment() | CREDENTIALS | {
            "BIND_HOST": HOST, "GATEWAY_PORT": str(self.port), "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION,
            "MINISTACK_REGION": REGION, "TMPDIR": str(state), "LAMBDA_EXECUTOR": "local", "LOG_LEVEL": "WARNING",
        }
        self.process = Process("ministack", [Path(sys.executable).with_name("ministack")], environment, state / "ministack.log")
        self.process.wait_until("an answer", lambda: answers(f"{self.url}/_ministack/health"))
        self._clients: dict[str, object] = {}

    def environment(self) -> dict[str, str]:
        """What a command needs to look at this world instead of an account."""
        return bare_environment() | CREDENTIALS | {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}

    def client(self, service: str):
        if service not in self._clients:
            self._clients[service] = client(service, self.url)
        return self._clients[service]

    def network(self) -> tuple[str, list[str]]:
        """The default VPC and its subnets."""
        ec2 = self.client("ec2")
        [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
        return vpc["VpcId"], sorted(subnet["SubnetId"] for subnet in found)

    def outputs(self, stack: str) -> dict[str, str]:
        [found] = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def function_pids(self, function: str) -> list[int]:
        """The function's processes: its execution environments."""
        return [pid for pid in descendants(self.process.pid) if variables(pid).get(FUNCTION_VARIABLE) == function]

    def log_lines(self, function: str, since: float = 0.0) -> list[str]:
        """What the function has written to its log since then, in seconds since 1970."""
        logs = self.client("logs")
        name, found = f"/aws/lambda/{function}", []
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=int(since * 1000))
        for page in pages:
            found += [(event["timestamp"], event["message"].rstrip()) for event in page["events"]]
        return [line for _, line in sorted(found, key=lambda event: event[0])]


def client(service: str, url: str):
    """A client that tries once or twice: what is asked here is on this machine, and faults are meant for others."""
    settings = botocore.config.Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=60)
    keys = {"aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}
    # `Session` of its own: clients are made in several threads.
    return boto3.session.Session(region_name=REGION, **keys).client(service, endpoint_url=url, config=settings)


def seconds(time_text: str) -> float:
    """An RFC 3339 time in seconds since 1970."""
    whole, _, rest = time_text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{rest or 0}")


def stamp(at: float) -> str:
    """A time as the tables hold it, to be compared as text."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> float:
    return time.time()
