"""The clients of AWS: whose account it is, which region, how long a call may take, what an error is called."""

import os
from collections.abc import Callable
from functools import cached_property

from .told import Refused

CONNECT_SECONDS = 5
READ_SECONDS = 30
# Beside the first. Each is told to nobody: what is repeated is throttling and broken connections.
RETRIES = 4


class Aws:
    """One account and region, as the environment says (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL ...)."""

    def __init__(self):
        import boto3

        # boto3 alone among the SDKs does not know AWS_REGION, which goes before the others.
        self._session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        self.region = self._session.region_name
        self.endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        if not self.region:
            raise Refused("no region: set AWS_REGION, such as AWS_REGION=eu-central-1")

    def _client(self, service: str):
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": RETRIES + 1, "mode": "standard"},
        )
        return self._session.client(service, config=config)

    @cached_property
    def account(self) -> str:
        """The account's number. It is asked first: who has no credentials hears of it before anything is done."""
        try:
            return self._client("sts").get_caller_identity()["Account"]
        except Exception as error:
            raise Refused(f"AWS cannot be asked whose account this is: {error}") from error

    @cached_property
    def cloudformation(self):
        return self._client("cloudformation")

    @cached_property
    def dynamodb(self):
        return self._client("dynamodb")

    @cached_property
    def ec2(self):
        return self._client("ec2")

    @cached_property
    def functions(self):
        return self._client("lambda")

    @cached_property
    def logs(self):
        return self._client("logs")

    @cached_property
    def ssm(self):
        return self._client("ssm")

    def environment(self) -> dict[str, str]:
        """What another program needs to be the same caller in the same region, wherever ours has its credentials from.

        cargo-lambda would fall back to us-east-1, and knows fewer ways to credentials than boto3.
        """
        ours = {**os.environ, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        found = self._session.get_credentials()
        if found:
            frozen = found.get_frozen_credentials()
            ours |= {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
            ours.pop("AWS_SESSION_TOKEN", None)
            if frozen.token:
                ours["AWS_SESSION_TOKEN"] = frozen.token
            ours.pop("AWS_PROFILE", None)
        return ours


def code(error: Exception) -> str:
    """What AWS calls an error; empty for one that is none of AWS's."""
    response = getattr(error, "response", None) or {}
    return response.get("Error", {}).get("Code", "")


def message(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    return response.get("Error", {}).get("Message", "") or str(error)


def found(call: Callable[..., dict], missing: tuple[str, ...] = ("ResourceNotFoundException",), **arguments) -> dict | None:
    """The answer of a call, or None where AWS says that there is no such thing."""
    try:
        return call(**arguments)
    except Exception as error:
        if code(error) in missing:
            return None
        raise
