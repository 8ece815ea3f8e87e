"""`deploy`: the foundation, the functions, what wakes them or leads to them, and a group, in that order and each from what is there.

It can be run again at any time, and does what is left to do. What is not given keeps its value; the first time, what can be found out about
the network is found out.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from environment import ROOT

from . import cargo, network, settings
from .aws import Aws, found
from .functions import Functions, Live
from .muster import Muster
from .settings import INFRA
from .stacks import Deployed, Stacks, outputs, parameters
from .told import Refused, Told

# The options of a deployment and the parameters of foundation.yaml that they are.
PARAMETERS = {
    "vpc": "Vpc",
    "agent_range": "AgentRange",
    "route_tables": "RouteTables",
    "alarm_email": "AlarmEmail",
    "log_days": "LogDays",
    "agent_port": "AgentPort",
    "monitor_function": "MonitorFunction",
    "controller_function": "ControllerFunction",
    "dashboard_function": "DashboardFunction",
}
# And those of triggers.yaml.
TRIGGERS_PARAMETERS = {"dashboard_url": "DashboardUrl"}
TABLES = ("control", "sweeps", "activity")
# The parameters of foundation.yaml, and its outputs, that say what the functions are called.
NAMES = dict(zip(cargo.FUNCTIONS, ("MonitorFunction", "ControllerFunction", "DashboardFunction")))


@dataclass
class Request:
    """What somebody wants deployed. None is what was not said."""

    stack: str
    subnets: list[str] | None = None
    # Of foundation.yaml, by the names in PARAMETERS.
    given: dict[str, str] = field(default_factory=dict)
    # Of triggers.yaml, by the names in TRIGGERS_PARAMETERS.
    given_triggers: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    bootstraps: str | None = None
    group: str | None = None
    # For `muster group add`, word for word.
    group_options: list[str] = field(default_factory=list)

    @property
    def foundation(self) -> str:
        return f"{self.stack}-foundation"

    @property
    def triggers(self) -> str:
        return f"{self.stack}-triggers"


@dataclass
class Done:
    stacks: list[Deployed]
    functions: list[Live]
    # Where Dashboard is reached, if it is to be.
    dashboard_url: str | None
    group: str | None


def deploy(request: Request, aws: Aws, environ: dict[str, str], told: Told) -> Done:
    """Deploys. `environ` is what functions.json's `${env:NAME}` is filled in from."""
    stacks, functions = Stacks(aws, told), Functions(aws, told)
    # Whatever can be refused is, before anything is changed.
    settings.check_added(request.added)
    folder = cargo.bootstraps(request.bootstraps)
    cargo.check_bootstraps(folder, bool(request.bootstraps))
    built = {function: cargo.architecture(folder / function / "bootstrap") for function in cargo.FUNCTIONS}
    muster = Muster(request.stack, aws.environment())
    if request.group:
        muster.check()
    told.doing(f"{request.stack} is deployed into {aws.account}, {aws.region}{f' at {aws.endpoint}' if aws.endpoint else ''}")
    present = stacks.settled(request.foundation)
    first = present is None or stacks.leftover(present)
    subnets = request.subnets or deployed_subnets(functions, outputs(present))
    given = foundation_parameters(request, aws, first, parameters(present), told)
    for function, name in names_to_be(given, parameters(present)).items():
        functions.refuse_anothers(name, request.stack, f"--{function.split('-')[0]}-function")
        functions.refuse_another_architecture(name, built[function])
    if first:
        refuse_beside_tables(request.stack, aws, leftover=present is not None)

    foundation = stacks.deploy(request.foundation, INFRA / "foundation.yaml", given)
    tool = cargo.CargoLambda(folder, aws.environment(), aws.region, aws.endpoint)
    lives = []
    for function in cargo.FUNCTIONS:
        wanted = settings.settings(function, foundation.outputs, environ, subnets, request.added)
        lives.append(functions.deploy(wanted, tool, commit()))
    asked = {TRIGGERS_PARAMETERS[name]: value for name, value in request.given_triggers.items()}
    triggers = stacks.deploy(request.triggers, INFRA / "triggers.yaml", {"Stack": request.stack} | asked)
    if request.group:
        told.doing(f"the group {request.group} is being made")
        # A new group needs its subnets; one that is changed keeps them unless they are given.
        near = ["--subnets", ",".join(subnets)] if subnets else []
        muster.add(request.group, [*near, *request.group_options])
    return Done([foundation, triggers], lives, triggers.outputs.get("DashboardUrl"), request.group)


def foundation_parameters(request: Request, aws: Aws, first: bool, previous: dict[str, str], told: Told) -> dict[str, str]:
    """What foundation.yaml is given. A later deployment gives what was said; the first adds what can be found out."""
    given = {"Stack": request.stack} | {PARAMETERS[name]: value for name, value in request.given.items()}
    if not request.subnets:
        if first:
            raise Refused("--subnets must be given: the first deployment needs the subnets of MonitorS, from which agents can be reached")
        return given
    where = network.look(aws, request.subnets)
    wanted = given.get("Vpc") or (None if first else previous.get("Vpc"))
    if wanted and wanted != where.vpc:
        raise Refused(f"--subnets are of {where.vpc}, and the stack's VPC is {wanted}")
    unled = where.without_a_way()
    if first:
        given.setdefault("Vpc", where.vpc)
        if "AgentRange" not in given:
            given["AgentRange"] = where.agent_range()
        given.setdefault("RouteTables", ",".join(unled))
        told.say(
            f"found out: vpc {given['Vpc']}, agent range {given['AgentRange']}, "
            f"route tables {given['RouteTables'] or 'none: an endpoint leads to DynamoDB already'}"
        )
    elif unled and "RouteTables" not in given:
        ours = [one for one in previous.get("RouteTables", "").split(",") if one]
        missing = [one for one in unled if one not in ours]
        if missing:
            told.say(
                f"no gateway endpoint leads from {', '.join(missing)} to DynamoDB: unless there is another way, MonitorS needs "
                f"--route-tables {','.join([*ours, *missing])}"
            )
    return given


def deployed_names(told: dict[str, str]) -> dict[str, str]:
    """What the functions are called in AWS, by the outputs of foundation.yaml; nothing where there is no foundation."""
    return {function: told[output] for function, output in NAMES.items() if output in told}


def names_to_be(given: dict[str, str], previous: dict[str, str]) -> dict[str, str]:
    """What the functions will be called: as is said now, as was said before, or as they are by themselves."""
    return {function: given.get(name) or previous.get(name) or function for function, name in NAMES.items()}


def deployed_subnets(functions: Functions, told: dict[str, str]) -> list[str]:
    """The subnets that MonitorS is in; none where it is not deployed."""
    name = deployed_names(told).get("monitor-s")
    present = functions.present(name) if name else None
    return list((present or {}).get("VpcConfig", {}).get("SubnetIds", []))


def refuse_beside_tables(stack: str, aws: Aws, leftover: bool) -> None:
    """Tables outlive their stack. CloudFormation would fail at them half-way, and leave the stack to be cleared up once more."""
    names = [f"{stack}-{table}" for table in TABLES]
    there = [name for name in names if found(aws.dynamodb.describe_table, TableName=name)]
    if not there:
        return
    why = "a creation that failed" if leftover else f"an earlier stack {stack}"
    raise Refused(
        f"the tables {', '.join(there)} are there already, of {why}: a stack of this name cannot be made beside them.\n"
        "Deploy under another name, or delete them for good, with all that is in them:\n" + "\n".join(deletion(there))
    )


def deletion(tables: list[str]) -> list[str]:
    """The commands that delete tables for good, protection and all."""
    return [
        f"  aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled && aws dynamodb delete-table --table-name {name}"
        for name in tables
    ]


def commit(root: Path = ROOT) -> str:
    """The commit that is deployed, with `-dirty` where there is more than is committed; empty outside of git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def as_document(request: Request, done: Done) -> dict:
    return {
        "stack": request.stack,
        "stacks": [{"name": one.name, "change": one.change} for one in done.stacks],
        "functions": [
            {"function": one.function, "name": one.name, "version": one.version, "alias": settings.ALIAS, "commit": one.commit, "change": one.change}
            for one in done.functions
        ],
        "dashboard_url": done.dashboard_url,
        "group": done.group,
    }


def as_rows(done: Done) -> list[list[str]]:
    rows = [["what", "name", "change", "version", "alias", "commit"]]
    rows += [["stack", one.name, one.change, "", "", ""] for one in done.stacks]
    rows += [["function", one.name, one.change, one.version, settings.ALIAS, one.commit] for one in done.functions]
    if done.dashboard_url:
        rows.append(["dashboard", done.dashboard_url, "", "", "", ""])
    if done.group:
        rows.append(["group", done.group, "made", "", "", ""])
    return rows
