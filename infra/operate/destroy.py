"""`destroy`: a stack is taken down, the last made first. What cannot be made again stays, and is told.

Nobody's instances are left without a controller by it: while a group has members it refuses, unless it is told to remove them first.
"""

import time
from dataclasses import dataclass, field

from .aws import Aws, found
from .cargo import FUNCTIONS
from .deploy import NAMES, TABLES, deletion
from .functions import Functions
from .muster import Muster
from .stacks import Stacks, outputs
from .told import Failed, Refused, Told

POLL_SECONDS = 10.0
# Lambda gives the network interfaces of a deleted function back within twenty minutes, mostly.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
INTERFACES_SECONDS = 45 * 60


@dataclass
class Gone:
    """What a destruction came to."""

    deleted: list[str] = field(default_factory=list)
    # What is still there, and the commands that delete it for good.
    stays: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def destroy(stack: str, force: bool, aws: Aws, muster: Muster, told: Told, poll_seconds: float = POLL_SECONDS) -> Gone:
    stacks, functions = Stacks(aws, told), Functions(aws, told)
    told.doing(f"looking at {stack} in {aws.account}, {aws.region}")
    foundation, gone = stacks.settled(f"{stack}-foundation"), Gone()
    called = outputs(foundation)
    # Without a foundation nothing acts any more: tables may have stayed, and what they tell of groups is over.
    groups = muster.groups() if foundation and _there(stack, aws) else {}
    full = {group: members for group, members in groups.items() if members}
    if full and not force:
        named = ", ".join(f"{group} ({members})" for group, members in sorted(full.items()))
        raise Refused(f"these groups of {stack} have members: {named}. Nothing was done. --force removes the groups first, and ends their instances")
    for group in sorted(groups):
        told.doing(f"the group {group} is being removed")
        muster.remove(group, force)
        gone.deleted.append(f"group {group}")

    if stacks.delete(f"{stack}-triggers"):
        gone.deleted.append(f"stack {stack}-triggers")
    for function in FUNCTIONS:
        name = called.get(NAMES[function])
        if name and functions.delete(name):
            gone.deleted.append(f"function {name}")
    if foundation:
        _wait_for_interfaces(called.get("MonitorSecurityGroup"), aws, told, poll_seconds)
        stacks.delete(f"{stack}-foundation")
        gone.deleted.append(f"stack {stack}-foundation")
    _what_stays(stack, groups, called, aws, gone)
    # Such as image.yaml's, which would build images for nobody.
    for name in stacks.of(stack):
        gone.stays.append(f"stack {name}")
        gone.commands.append(f"  aws cloudformation delete-stack --stack-name {name}")
    return gone


def _there(stack: str, aws: Aws) -> bool:
    """Whether the stack has the table in which its groups are."""
    return found(aws.dynamodb.describe_table, TableName=f"{stack}-control") is not None


def _wait_for_interfaces(security_group: str | None, aws: Aws, told: Told, poll_seconds: float) -> None:
    """Waits until Lambda has given the interfaces of MonitorS back.

    It does so with the function's role, so the role must outlive them; and no security group can be deleted that an interface is in.
    """
    if not security_group:
        return
    until, said = time.monotonic() + INTERFACES_SECONDS, False
    filters = [{"Name": "group-id", "Values": [security_group]}]
    while True:
        left = aws.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        if not left:
            return
        names = ", ".join(one["NetworkInterfaceId"] for one in left)
        if time.monotonic() > until:
            raise Failed(f"Lambda has not given back {names} of {security_group}; run it again later")
        if not said:
            told.doing(f"waiting until Lambda has given back {names}, which takes up to twenty minutes")
            said = True
        time.sleep(poll_seconds)


def _what_stays(stack: str, groups: dict[str, int], called: dict[str, str], aws: Aws, gone: Gone) -> None:
    tables = [f"{stack}-{table}" for table in TABLES]
    tables = [name for name in tables if found(aws.dynamodb.describe_table, TableName=name)]
    gone.stays += [f"table {name}" for name in tables]
    gone.commands += deletion(tables)
    for group in sorted(groups):
        name = f"/muster/{group}/policy"
        if found(aws.ssm.get_parameter, ("ParameterNotFound",), Name=name):
            gone.stays.append(f"parameter {name}")
            gone.commands.append(f"  aws ssm delete-parameter --name {name}")
    # Of a stack that is gone the logs are, too, and an older one had fewer functions: others of their names may be somebody else's.
    for name in [called[NAMES[function]] for function in FUNCTIONS if NAMES[function] in called]:
        prefix = f"/aws/lambda/{name}"
        for log in aws.logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]:
            if log["logGroupName"] == prefix:
                gone.stays.append(f"log group {prefix}")
                gone.commands.append(f"  aws logs delete-log-group --log-group-name {prefix}")


def as_document(stack: str, gone: Gone) -> dict:
    return {"stack": stack, "deleted": gone.deleted, "stays": gone.stays, "commands": [one.strip() for one in gone.commands]}


def as_text(stack: str, gone: Gone) -> str:
    lines = [f"deleted  {one}" for one in gone.deleted] or [f"There is nothing of {stack} to delete."]
    lines += [f"stays    {one}" for one in gone.stays]
    if gone.commands:
        lines += ["", "What stays is deleted for good, with all that is in it, by:", "", *gone.commands]
    return "\n".join(lines)
