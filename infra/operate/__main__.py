"""The command line. Exit codes: 0 done, 1 something failed on the way, 2 it was refused, 130 interrupted."""

import argparse
import ipaddress
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from . import cargo, deploy, destroy, dry, logs, rollback
from .aws import Aws
from .muster import Muster
from .stacks import Stacks
from .told import Failed, Refused, Told, result

# As the templates have them; infra/tests compares.
STACK_NAME = "[a-z0-9][a-z0-9-]{0,30}[a-z0-9]"
FUNCTION_NAME = "[a-zA-Z0-9_-]{1,64}"
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
PORTS = range(1, 65536)
INTERRUPTED = 130


def main(words: list[str] | None = None) -> int:
    arguments, further = parse(sys.argv[1:] if words is None else words)
    told = Told()
    try:
        return arguments.command(arguments, further, told)
    except Refused as error:
        print(f"{arguments.name}: {error}", file=sys.stderr)
        return 2
    except Failed as error:
        print(f"{arguments.name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\n{arguments.name}: interrupted. Under way was: {told.under_way}. AWS goes on with what it was told; "
            "running the same command again waits for that, and does the rest.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Exception as error:
        # AWS's own words are enough of an explanation; a traceback of ours is none.
        if type(error).__module__.startswith("botocore"):
            print(f"{arguments.name}: {told.under_way}: {error}", file=sys.stderr)
            return 1
        raise


def run_deploy(arguments: argparse.Namespace, further: list[str], told: Told) -> int:
    given, given_triggers = said(arguments, deploy.PARAMETERS), said(arguments, deploy.TRIGGERS_PARAMETERS)
    options = [word for name in ("image", "policy") if (value := getattr(arguments, name)) for word in (f"--{name}", value)]
    if not arguments.group and (options or further):
        raise Refused(f"{(options or further)[0]} is for a group: --group must name it")
    request = deploy.Request(
        # A check is of any stack; this is the templates' own name.
        stack=arguments.stack or "muster",
        subnets=arguments.subnets,
        given=given,
        given_triggers=given_triggers,
        added=dict(arguments.env or []),
        bootstraps=arguments.bootstraps,
        group=arguments.group,
        group_options=[*options, *further],
    )
    if not arguments.stack and not arguments.dry:
        raise Refused("--stack must name the stack: make deploy STACK=NAME")
    if arguments.dry:
        checked = dry.dry(request, dict(os.environ), told)
        result(dry.as_document(request, checked), dry.as_rows(checked), arguments.json)
        return 0
    done = deploy.deploy(request, Aws(), dict(os.environ), told)
    result(deploy.as_document(request, done), deploy.as_rows(done), arguments.json)
    return 0


def said(arguments: argparse.Namespace, options: dict[str, str]) -> dict[str, str]:
    return {name: getattr(arguments, name) for name in options if getattr(arguments, name) is not None}


def run_destroy(arguments: argparse.Namespace, _: list[str], told: Told) -> int:
    aws = Aws()
    gone = destroy.destroy(arguments.stack, arguments.force, aws, Muster(arguments.stack, aws.environment()), told)
    result(destroy.as_document(arguments.stack, gone), destroy.as_text(arguments.stack, gone), arguments.json)
    return 0


def run_rollback(arguments: argparse.Namespace, _: list[str], told: Told) -> int:
    wanted = [arguments.function] if arguments.function else None
    moves = rollback.rollback(arguments.stack, wanted, arguments.version, Aws(), told)
    result(rollback.as_document(arguments.stack, moves), rollback.as_rows(moves), arguments.json)
    return 0


def run_logs(arguments: argparse.Namespace, _: list[str], told: Told) -> int:
    aws = Aws()
    told.under_way = "reading the log"
    names = rollback.names(arguments.stack, [arguments.function] if arguments.function else None, Stacks(aws, told))
    since_ms = int(time.time() * 1000) - arguments.since
    read = logs.follow if arguments.follow else logs.events
    try:
        for event in read(aws, names, since_ms, arguments.group):
            print(event.line(), flush=arguments.follow)
    except BrokenPipeError:
        # Somebody has seen enough, such as `head`. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        if not arguments.follow:
            raise
    return 0


def run_build(_: argparse.Namespace, __: list[str], told: Told) -> int:
    told.doing("the functions are being built for release")
    try:
        built = cargo.build(Path(sys.executable).parent)
    except subprocess.CalledProcessError as error:
        raise Failed(f"{' '.join(map(str, error.cmd))} ended with exit code {error.returncode}") from error
    for path in built.values():
        print(path)
    return 0


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="infra/operate/run", description="Deploy and operate a stack of Muster.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    one = command(commands, "deploy", run_deploy, "make a stack, or change it: templates, functions, triggers, a group")
    one.add_argument("--subnets", type=listed("subnet-"), metavar="IDS", help="MonitorS' subnets, and a new group's, separated by commas")
    one.add_argument("--vpc", metavar="ID", help="the VPC (found out: the subnets')")
    one.add_argument("--agent-range", type=cidr, metavar="CIDR", help="the addresses of agents (found out: the VPC's range)")
    one.add_argument("--route-tables", type=tables, metavar="IDS", help="tables that get a way to DynamoDB (found out: the subnets')")
    one.add_argument("--alarm-email", metavar="ADDRESS", help="who is told of alarms")
    one.add_argument("--log-days", type=number(LOG_DAYS), metavar="N", help="how long logs are kept (30)")
    one.add_argument("--agent-port", type=number(PORTS), metavar="N", help="where agents listen (7717)")
    one.add_argument("--monitor-function", type=like(FUNCTION_NAME), metavar="NAME", help="what MonitorS is called (monitor-s)")
    one.add_argument("--controller-function", type=like(FUNCTION_NAME), metavar="NAME", help="what ControllerASG is called (controller-asg)")
    one.add_argument("--dashboard-function", type=like(FUNCTION_NAME), metavar="NAME", help="what Dashboard is called (dashboard)")
    one.add_argument("--dashboard-url", choices=("yes", "no"), help="whether Dashboard has a URL; a few regions have none (yes)")
    one.add_argument("--group", metavar="NAME", help="make this group, too; further options are those of `muster group add`")
    one.add_argument("--image", metavar="AMI", help="the group's image, with the agent in it")
    one.add_argument("--policy", metavar="FILE", help="the group's policy, written if it has none")
    one.add_argument("--env", type=variable, action="append", metavar="NAME=VALUE", help="a variable of every function; an empty value takes it away")
    one.add_argument("--bootstraps", metavar="DIR", help="where the functions' bootstraps are (target/lambda)")
    one.add_argument("--dry", action="store_true", help="only check: no AWS, no credentials")

    one = command(commands, "destroy", run_destroy, "take a stack down; its tables stay")
    one.add_argument("--force", action="store_true", help="remove groups that have members, too: their instances end")

    one = command(commands, "rollback", run_rollback, "move the alias live to an earlier version")
    one.add_argument("--function", choices=cargo.FUNCTIONS, help="of one function alone (all)")
    one.add_argument("--version", type=positive, metavar="N", help="to this version (the one before)")

    one = command(commands, "logs", run_logs, "show what the functions log, in the order of time", as_json=False)
    one.add_argument("--function", choices=cargo.FUNCTIONS, help="of one function alone (all)")
    one.add_argument("--since", type=span, default="10m", metavar="SPAN", help="so long ago: 90s, 10m, 2h, 1d (10m)")
    one.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    one.add_argument("--group", metavar="NAME", help="only what is about this group")

    one = commands.add_parser("build", help="build the functions for release", description="Build the functions for release.")
    one.set_defaults(command=run_build)

    arguments, further = parser.parse_known_args(words)
    if further and arguments.name != "deploy":
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    return arguments, further


def command(commands, name: str, run, what: str, as_json: bool = True) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False)
    one.add_argument("--stack", type=like(STACK_NAME), required=name != "deploy", metavar="NAME", help="the stack's name")
    if as_json:
        one.add_argument("--json", action="store_true", help="the result as JSON instead of a table")
    one.set_defaults(command=run)
    return one


# What options take. argparse names the option itself, so that each says its range alone.


def like(pattern: str):
    def text(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise argparse.ArgumentTypeError(f"{value!r} is not like {pattern}")
        return value

    return text


def number(allowed):
    def whole(value: str) -> str:
        if not value.isdigit() or int(value) not in allowed:
            range_ = f"{allowed[0]}-{allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
            raise argparse.ArgumentTypeError(f"{value!r} is not one of {range_}")
        return str(int(value))

    return whole


def cidr(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no range of IPv4 addresses such as 10.0.0.0/16: {error}") from error


def listed(prefix: str):
    def several(value: str) -> list[str]:
        found = [one.strip() for one in value.split(",") if one.strip()]
        if not found or any(not one.startswith(prefix) for one in found) or len(set(found)) != len(found):
            raise argparse.ArgumentTypeError(f"{value!r} is not ids {prefix}... separated by commas, each once")
        return found

    return several


def tables(value: str) -> str:
    """Route tables; an empty text is none."""
    return ",".join(listed("rtb-")(value)) if value else ""


def positive(value: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number from 1 on")
    return int(value)


def span(value: str) -> int:
    try:
        return logs.span_ms(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def variable(value: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
        raise argparse.ArgumentTypeError(f"{value!r} is not NAME=VALUE")
    return name, text


if __name__ == "__main__":
    sys.exit(main())
