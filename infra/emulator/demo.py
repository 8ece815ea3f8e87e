"""`make emulator`: one group under a scenario, live, until Ctrl-C or --for."""

import json
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from .aws import CREDENTIALS, REGION
from .build import Binaries, found
from .crossing import Crossing
from .mishaps import Mishaps
from .scenario import Scenario, span
from .world import World

GROUP = "web"
BEAT_SECONDS = 0.5
LINE_SECONDS = 5.0
# What README.md promises, with sweeps ten seconds apart.
LIMIT_SECONDS = 12.0


class Told:
    """What is said, as lines for people or as JSON."""

    def __init__(self, as_json: bool):
        self._as_json = as_json
        self._began = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def say(self, kind: str, text: str, **fields: object) -> None:
        if self._as_json:
            print(json.dumps({kind: {"seconds": round(self.elapsed(), 1), **(fields or {"text": text})}}), flush=True)
        else:
            print(f"{self.elapsed():6.1f} s  {text}", flush=True)


def demo(arguments: SimpleNamespace) -> int:
    scenario = Scenario(arguments.scenario, arguments.pace)
    lasts = span(arguments.lasts) if arguments.lasts else None
    told = Told(arguments.json)
    binaries = found(arguments.tools, arguments.bootstraps)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        play(binaries, scenario, lasts, told)
    except KeyboardInterrupt:
        told.say("end", "interrupted: everything ends")
    return 0


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def play(binaries: Binaries, scenario: Scenario, lasts: float | None, told: Told) -> None:
    told.say("step", "the emulator of AWS and our EC2 start")
    with World(binaries) as world:
        told.say("step", f"the stack {world.stack} is deployed: templates, functions, triggers")
        world.deploy()
        world.ec2.set_demand(scenario.demand(0))
        world.add_group(GROUP, world.policy(GROUP))
        told.say("step", f"the group {GROUP} is there: its schedule ticks within a minute or so")
        tell_how_to_look(world, told)
        live(world, scenario, lasts, told)
    told.say("end", "everything has ended")


def tell_how_to_look(world: World, told: Told) -> None:
    here = CREDENTIALS | {"AWS_ENDPOINT_URL": world.aws.url, "AWS_ENDPOINT_URL_EC2": world.ec2.url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    exported = " ".join(f"{name}={value}" for name, value in here.items())
    programs = Path(sys.executable).parent
    lines = [
        "to look around, in another terminal:",
        f"  export {exported}",
        f"  export PATH={programs}:$PATH     (aws and cargo-lambda, if you have none)",
        f"  {world.command} --stack {world.stack} status",
        f"  aws ssm get-parameter --name /muster/{GROUP}/policy     (and put-parameter --overwrite: the next decision follows)",
        "  aws logs tail /aws/lambda/controller-asg --follow",
        f"  cargo lambda deploy --endpoint-url {world.aws.url} monitor-s",
        f"  curl {world.ec2.url}/_fake/ledger       (our EC2: what was launched and ended, and every call)",
    ]
    told.say("look", "\n          ".join(lines), environment=here, ec2=world.ec2.url, stack=world.stack)


def live(world: World, scenario: Scenario, lasts: float | None, told: Told) -> None:
    """Plays the scenario from the moment at which the group serves, and tells what comes of it."""
    threshold = world.policy(GROUP)["scaling"]["cpu_up_threshold"]
    crossing = Crossing(world.ec2, threshold)
    mishaps = Mishaps(world.ec2, GROUP, scenario.events)
    begun: float | None = None
    next_line = 0.0
    sizes: list[int] = []
    while lasts is None or told.elapsed() < lasts:
        time.sleep(BEAT_SECONDS)
        if begun is None:
            if serves(world):
                begun = told.elapsed()
                told.say("step", f"the group serves; now: {scenario.title}")
        else:
            at = told.elapsed() - begun
            crossing.set_demand(scenario.demand(at))
            for mishap in mishaps.befall(at):
                told.say("event", mishap)
        if took := crossing.look():
            within = "within" if took <= LIMIT_SECONDS else "NOT within"
            told.say("crossing", f"RunInstances came {took:.1f} s after the load crossed {threshold} %, {within} {LIMIT_SECONDS:.0f} s",
                     seconds_to_launch=round(took, 3))
        if told.elapsed() >= next_line:
            next_line = told.elapsed() + LINE_SECONDS
            sizes += tell(world, told)
    if sizes:
        told.say("summary", f"{sizes[0]} members at the beginning, {max(sizes)} at the most, {sizes[-1]} at the end",
                 first=sizes[0], most=max(sizes), last=sizes[-1])


def serves(world: World) -> bool:
    head = world.tables.head(GROUP)
    return bool(head) and len(world.tables.activities(GROUP, "joined")) >= int(head["desired"]) > 0


def tell(world: World, told: Told) -> list[int]:
    """One line about the group; returns how many members it has, once it has some."""
    demand = world.ec2.ledger()["demand"]
    status = world.status(GROUP)
    if not status or not status["decision"]:
        told.say("group", f"demand {demand:3.0f}  no decision yet")
        return []
    report, sweep = status["decision"]["report"], status["sweep"] or {}
    counts, headline = report["counts"], report["headline"]
    members = counts["actual"] + counts["draining"] + counts["terminating"]
    mean = sweep.get("mean")
    shown = "  -  " if mean is None else f"{mean:5.1f}"
    text = f"demand {demand:3.0f}  mean {shown} %  desired {status['desired']}  actual {counts['actual']}  members {members}  {headline}"
    told.say("group", text, demand=demand, mean=mean, desired=status["desired"], actual=counts["actual"], members=members, headline=headline)
    return [members]
