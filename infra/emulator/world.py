"""The whole world: the emulator of AWS, our EC2, the stack that is deployed there, and its groups."""

import json
import shutil
import tempfile
import time
from pathlib import Path

from .aws import Aws
from .build import ROOT, Binaries, call
from .ec2 import ZONES, Ec2
from .faults import Proxy
from .processes import Trouble
from .tables import Tables

INFRA = ROOT / "infra"
STACK = "emulator"
AGENT_PORT = 7717
AGENT_RANGE = "127.0.0.0/8"
IMAGE = "ami-0123456789abcdef0"
POLL_SECONDS = 0.1


class World:
    """Everything, until `end`. A start that fails leaves its processes to `run`, which ends what is left."""

    def __init__(self, binaries: Binaries, breakable: bool = False):
        """Starts the servers. In a world that can be broken the functions reach DynamoDB and EC2 by proxies."""
        self._state = tempfile.TemporaryDirectory(prefix="muster-emulator-")
        self.state = Path(self._state.name)
        # A copy: `make simulate` beside this would put a muster in its place that knows nothing of AWS.
        self.command = Path(shutil.copy2(binaries.tools / "muster", self.state))
        self.stack = STACK
        self._bootstraps = binaries.bootstraps
        self.aws = Aws(self.state)
        self.ec2 = Ec2(binaries.tools, AGENT_PORT, self.state)
        self.tables = Tables(self.aws.client("dynamodb"), self.stack)
        upstreams = {"dynamodb": self.aws.url, "ec2": self.ec2.url} if breakable else {}
        self.proxies = {service: Proxy(service, url, self.state) for service, url in upstreams.items()}
        for proxy in self.proxies.values():
            proxy.warm_up()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def deploy(self) -> dict:
        """Deploys the stack as an operator does."""
        # A variable of one service wins over the endpoint that ministack gives its functions.
        urls = {"EC2": self.ec2.url} | {service.upper(): proxy.url for service, proxy in self.proxies.items()}
        variables = [word for service, url in urls.items() for word in ("--env", f"AWS_ENDPOINT_URL_{service}={url}")]
        _, subnets = self.aws.network()
        near = ["--subnets", ",".join(subnets), "--agent-range", AGENT_RANGE]
        return json.loads(self.operate("deploy", *near, "--bootstraps", self._bootstraps, *variables, "--json"))

    def operate(self, command: str, *words: object) -> str:
        return call([ROOT / "infra/operate/run", command, "--stack", self.stack, *words], self.aws.environment())

    def add_group(self, group: str, policy: dict, schedule: str = "rate(1 minute)") -> None:
        """Makes a group as an operator does, and its launch template in our EC2, before anybody can want to launch from it."""
        first = self.state / f"{group}.json"
        first.write_text(json.dumps(policy))
        self.muster("group", "add", group, "--image", IMAGE, "--policy", first, "--schedule", schedule)
        self.ec2.copy_template(self.aws.client("ec2"), f"{self.stack}-{group}")

    def remove_group(self, group: str) -> None:
        """Takes a group away, whoever lives in it."""
        self.muster("group", "remove", group, "--force")

    def put_policy(self, group: str, policy: dict) -> None:
        ssm = self.aws.client("ssm")
        ssm.put_parameter(Name=f"/muster/{group}/policy", Type="String", Value=json.dumps(policy), Overwrite=True)

    def policy(self, group: str, **changes: object) -> dict:
        """A policy that is quick, but sweeps every ten seconds as the default does."""
        launch = {"template": f"{self.stack}-{group}", "zones": list(ZONES[:2]), "instance_types": ["t3.small"]}
        scaling = {"kind": "threshold", "cpu_up_threshold": 70, "cpu_down_threshold": 20, "scale_up_factor": 2, "scale_down_factor": 0.5}
        quick = {
            "scaling": scaling, "min_instances": 2, "max_instances": 6, "sweep_interval": "10s", "warm_up": "10s", "cooldown_in": "30s", "stabilization_in": "30s",
            "in_window": "30s", "out_window": "10s", "max_in_per_window": {"percent": 100, "at_least": 2}, "launch": launch, "drain": {"timeout": "20s"},
            "health": {"grace_period": "20s", "unhealthy_after": "10s", "boot_timeout": "60s", "repair_interval": "10s"},
        }
        return quick | changes

    def environment(self) -> dict[str, str]:
        """What a command needs to look at this world: everything is ministack's, but for EC2."""
        return self.aws.environment() | {"AWS_ENDPOINT_URL_EC2": self.ec2.url}

    def muster(self, *words: object) -> str:
        """What the operator's command says of this world."""
        return call([self.command, "--stack", self.stack, *words], self.environment())

    def status(self, group: str) -> dict | None:
        """The group as `muster status --group` shows it; none before its first decision. A group that is not well is shown all the same (3)."""
        command = [self.command, "--stack", self.stack, "status", "--json"]
        groups = json.loads(call(command, self.environment(), fine=(0, 3)))["groups"]
        if not any(one["group"] == group for one in groups):
            return None
        return json.loads(call([*command, "--group", group], self.environment(), fine=(0, 3)))

    def until(self, what: str, wanted, seconds: float = 60.0):
        """Waits for a value of `wanted` that is true, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            found = wanted()
            if found:
                return found
            if time.monotonic() >= deadline:
                raise Trouble(f"{what}: it has not come about in {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def end(self) -> None:
        servers = [proxy.process for proxy in self.proxies.values()] + [self.ec2.process, self.aws.process]
        for process in servers:
            process.end()
        self._state.cleanup()
