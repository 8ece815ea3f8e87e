"""What goes wrong between the functions and AWS: proxies of microburst before DynamoDB and before our EC2.

microburst reads AWS's own service models, so an error has the code, the envelope and the status that an SDK believes. Its rules are JSON; the
first that fits a call speaks.
"""

import sys
from pathlib import Path

from .aws import bare_environment, client
from .loopback import HOST, answers, call, free_port
from .processes import Process


class Proxy:
    """A proxy that passes everything on, until it is told otherwise."""

    def __init__(self, service: str, upstream: str, state: Path):
        port = free_port()
        self.url = f"http://{HOST}:{port}"
        command = [Path(sys.executable).with_name("microburst"), "--host", HOST, "--port", port, "--upstream", upstream, "--no-resign"]
        self.process = Process(f"microburst of {service}", command, bare_environment(), state / f"proxy-{service}.log")
        self.process.wait_until("an answer", lambda: answers(f"{self.url}/_microburst/health"))
        self._service = service

    def warm_up(self) -> None:
        """Passes one call on: with its first, microburst reads the models of all services, which takes longer than a function waits."""
        proxied = client(self._service, self.url)
        proxied.list_tables() if self._service == "dynamodb" else proxied.describe_instances()

    def breaks(self, *rules: dict) -> None:
        """These rules from now on, and no others."""
        call("DELETE", f"{self.url}/_microburst/fired")
        call("POST", f"{self.url}/_microburst/rules", list(rules))

    def passes(self) -> None:
        call("POST", f"{self.url}/_microburst/rules", [])

    def broken(self) -> int:
        """How many calls its rules have befallen since they were set."""
        return len(call("GET", f"{self.url}/_microburst/fired?limit=10000"))
