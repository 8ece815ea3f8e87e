"""`deploy --dry`: everything about a deployment that can be checked without credentials and without AWS.

The templates and the rules by `infra/tests/run --templates`; in functions.json every name against what the code reads, told with file and
name by the same; what cargo-lambda would upload, its size and its settings, by itself.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import cargo, settings
from .deploy import Request
from .settings import ALIAS, INFRA
from .told import Failed, Told

# The SDKs have been kept out of MonitorS and trimmed in ControllerASG: more than this is a dependency that came in unseen.
LARGEST_ZIP_BYTES = 4_000_000
# cfn-lint reads its own specifications, which takes seconds; making its environment takes more, once.
TEMPLATES_SECONDS = 600
REGION = "us-east-1"


@dataclass
class Checked:
    function: str
    zip_bytes: int
    architecture: str


def dry(request: Request, environ: dict[str, str], told: Told, infra: Path = INFRA, check: Path | None = None) -> list[Checked]:
    """Checks everything, and fails with all that is wrong rather than the first of it."""
    problems = []
    told.doing("the templates and functions.json are checked")
    problems += templates(check or infra / "tests/run")
    checked = []
    if not problems:
        settings.check_added(request.added, infra)
        folder = cargo.bootstraps(request.bootstraps)
        cargo.check_bootstraps(folder, bool(request.bootstraps))
        # It asks nobody, but it reads files of credentials if it may.
        alone = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
        tool = cargo.CargoLambda(folder, alone, REGION, "")
        for function in cargo.FUNCTIONS:
            told.doing(f"{function}: what would be uploaded is checked")
            subnets = request.subnets or ["subnet-dry"]
            wanted = settings.settings(function, stand_ins(request), environ, subnets, request.added, infra)
            answer = tool.dry(wanted)
            problems += answered(wanted, answer)
            checked.append(Checked(function, Path(answer["path"]).stat().st_size, answer["arch"]))
    if problems:
        raise Failed("it would not be deployed:\n" + "\n".join(problems))
    return checked


def templates(check: Path) -> list[str]:
    """What the tests say of the templates: each line names a file and what is wrong in it."""
    try:
        run = subprocess.run([check, "--templates"], capture_output=True, text=True, timeout=TEMPLATES_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return [f"infra/tests/run --templates had not ended after {TEMPLATES_SECONDS} s"]
    return (run.stderr or run.stdout).splitlines() if run.returncode else []


def stand_ins(request: Request) -> dict[str, str]:
    """Outputs of a foundation that is not there: names where names matter, and otherwise something of the right kind."""
    stack, role = request.stack, "arn:aws:iam::000000000000:role/muster"
    return {
        "Stack": stack,
        "AgentPort": request.given.get("agent_port", "7717"),
        "MonitorFunction": request.given.get("monitor_function", "monitor-s"),
        "ControllerFunction": request.given.get("controller_function", "controller-asg"),
        "DashboardFunction": request.given.get("dashboard_function", "dashboard"),
        "MonitorRole": f"{role}/{stack}/MonitorRole",
        "ControllerRole": f"{role}/{stack}/ControllerRole",
        "DashboardRole": f"{role}/{stack}/DashboardRole",
        "MonitorSecurityGroup": "sg-dry",
    }


def answered(wanted: settings.Settings, answer: dict) -> list[str]:
    """What is wrong with cargo-lambda's own account of what it would do. It does not tell the alias: that is in what it was told."""
    config, size = answer["config"], Path(answer["path"]).stat().st_size
    vpc = config.get("vpc") or {}
    expected = {
        "the binary": (answer["name"], wanted.function),
        "the role": (config.get("role"), wanted.role),
        "the time-out": (config.get("timeout"), wanted.timeout_seconds),
        "the memory": (config.get("memory"), wanted.memory_mb),
        "the subnets": (tuple(vpc.get("subnet_ids") or ()), wanted.subnets),
        "the security groups": (tuple(vpc.get("security_group_ids") or ()), wanted.security_groups),
        "the tags": (answer.get("tags"), f"muster:stack={wanted.stack}"),
        "what is in the zip": (answer.get("files"), ["bootstrap"]),
    }
    found = [f"{wanted.function}: {what} would be {was!r}, not {should!r}" for what, (was, should) in expected.items() if was != should]
    if size > LARGEST_ZIP_BYTES:
        found.append(f"{wanted.function}: its zip has {size} bytes, and {LARGEST_ZIP_BYTES} are the limit")
    told = settings.flags(wanted, Path("-"))
    if told[: 2] != ["--alias", ALIAS]:
        found.append(f"{wanted.function}: it would not be published to the alias {ALIAS}")
    if config.get("enable_function_url"):
        found.append(f"{wanted.function}: it would be open to everybody at a URL")
    return found


def as_document(request: Request, checked: list[Checked]) -> dict:
    functions = [{"function": one.function, "zip_bytes": one.zip_bytes, "architecture": one.architecture} for one in checked]
    return {"stack": request.stack, "dry": True, "functions": functions}


def as_rows(checked: list[Checked]) -> list[list[str]]:
    rows = [["function", "zip", "for", "alias"]]
    return rows + [[one.function, f"{one.zip_bytes / 1e6:.2f} MB", one.architecture, ALIAS] for one in checked]
