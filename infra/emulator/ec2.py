"""The EC2 of our own: the server `muster-fake-ec2` with a real agent for each instance, and its control API."""

from pathlib import Path

from .aws import bare_environment, client
from .loopback import HOST, call, free_port, reserve_network
from .processes import Process

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


class Ec2:
    """Our EC2 on a port of loopback; agents on a network of their own."""

    def __init__(self, binaries: Path, agent_port: int, state: Path):
        port = free_port()
        network, self._guard = reserve_network(agent_port)
        self.url = f"http://{HOST}:{port}"
        command = [binaries / "muster-fake-ec2", "--listen", f"{HOST}:{port}", "--zones", ",".join(ZONES)]
        command += ["--agent", binaries / "monitor-c", "--agent-port", agent_port, "--network", network]
        self.process = Process("muster-fake-ec2", command, bare_environment(), state / "ec2.log")
        self.process.wait_until("the server", lambda: "listening " in self.process.said())
        self.client = client("ec2", self.url)

    def ask(self, method: str, what: str, body: object = None) -> object:
        return call(method, f"{self.url}/_fake/{what}", body)

    def ledger(self) -> dict:
        return self.ask("GET", "ledger")

    def set_demand(self, demand: float) -> None:
        """The load that the running instances share; 100 keeps one busy."""
        self.ask("POST", "demand", {"demand": demand})

    def set_load(self, instance: str, load: float | None) -> None:
        self.ask("POST", "demand", {"instance": instance, "load": load})

    def add_rule(self, **rule: object) -> None:
        self.ask("POST", "rules", rule)

    def remove_rules(self) -> None:
        self.ask("DELETE", "rules")

    def tell_agent(self, instance: str, deed: str) -> None:
        """kill, stop, continue ... an instance's agent, and not the instance."""
        self.ask("POST", f"agents/{instance}/{deed}")

    def calls(self, action: str, since: int = 0) -> list[dict]:
        """The calls of an action after the call number `since`."""
        return [found for found in self.ledger()["calls"] if found["action"] == action and found["number"] > since]

    def last_call(self) -> int:
        return self.ledger()["calls_total"]

    def alive(self, tags: dict[str, str] | None = None) -> list[dict]:
        """The instances that are pending or running, and carry the tags."""
        wanted = (tags or {}).items()
        living = (found for found in self.ledger()["instances"] if found["state"] in ("pending", "running"))
        return [found for found in living if wanted <= found["tags"].items()]

    def copy_template(self, source, name: str) -> None:
        """Makes the launch template that `source`, another EC2's client, has under this name, unless there is one.

        On AWS there is one EC2; here CloudFormation's is ministack's, and launches are ours.
        """
        [version] = source.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])["LaunchTemplateVersions"]
        [template] = source.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
        known = self.client.describe_launch_templates(Filters=[{"Name": "launch-template-name", "Values": [name]}])["LaunchTemplates"]
        if known:
            return
        tags = [{"ResourceType": "launch-template", "Tags": template["Tags"]}] if template.get("Tags") else []
        data = fitted(self.client.meta.service_model.shape_for("RequestLaunchTemplateData"), version["LaunchTemplateData"])
        self.client.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data, TagSpecifications=tags)


def fitted(shape, value: object) -> object:
    """What of an answer a request of this shape may hold: EC2 answers more than it takes."""
    if shape.type_name == "structure":
        return {name: fitted(shape.members[name], inner) for name, inner in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [fitted(shape.member, inner) for inner in value]
    return value
