"""One world for all tests, and what each of them needs of it. Steps run in the order of their names, and each leaves the world whole."""

import json
import sys
import unittest

from . import ledger
from .aws import now, stamp
from .build import Binaries, call
from .processes import Trouble
from .tables import state
from .world import World

GROUP = "web"
OTHER = "api"
MAX = 5
FUNCTIONS = ("monitor-s", "controller-asg", "dashboard")
# Far more than it takes: nothing is measured by it.
PATIENCE_SECONDS = 60.0
# What carries our group's tag, and the name that our members would have, but was launched by somebody's hand.
FOREIGN_TAGS = {"Name": "emulator-web", "muster:group": GROUP, "muster:stack": "emulator"}

# Of the functions' logs, what says nothing of a failure: metrics, Lambda's own lines.
DULL = ('"_aws"', "START RequestId", "END RequestId", "REPORT RequestId")


class Shared:
    """What one step leaves to the next."""

    def __init__(self, binaries: Binaries):
        self.binaries = binaries
        self.world = World(binaries, breakable=True)
        self.watch = ledger.Watch(self.world.aws, self.world.stack)
        self.deployed = False
        self.foreign: list[str] = []
        self.policies: dict[str, dict] = {}
        self.limits: dict[str, int] = {}
        # Whose launches were broken off on purpose, and when.
        self.broken_off = 0.0

    def end(self) -> None:
        self.watch.stop()
        self.world.end()


class Step(unittest.TestCase):
    """A step. `shared` is there once the tests run."""

    shared: Shared

    def setUp(self) -> None:
        self.began = now()
        self.world = self.shared.world
        self.ec2 = self.world.ec2
        self.tables = self.world.tables
        self.first_call = self.ec2.last_call()
        if not self.shared.deployed and "deploy" not in self.id():
            self.fail("there is no stack")

    def story(self) -> str:
        """What has happened since this step began, for whoever has to find out why it failed."""
        calls = [one for one in self.ec2.ledger()["calls"] if one["number"] > self.first_call and not one["action"].startswith("Describe")]
        lines = [f"head: {self.tables.head(GROUP)}", *(f"member: {one}" for one in self.tables.members(GROUP))]
        lines += [f"intent: {one}" for group in self.shared.limits for one in self.tables.intents(group)]
        lines += [f"call: {one}" for one in calls[-40:]]
        for function in FUNCTIONS:
            said = [line for line in self.world.aws.log_lines(function, self.began) if not any(word in line for word in DULL)]
            lines += [f"{function}: {line}" for line in said[-40:]]
        return "\n".join(lines)

    # The group.

    def add_group(self, group: str, schedule: str, **changes: object) -> None:
        policy = self.shared.policies[group] = self.world.policy(group, **changes)
        self.shared.limits[group] = policy["max_instances"]
        self.shared.watch.add(group)
        self.world.add_group(group, policy, schedule)

    def change_policy(self, group: str = GROUP, **changes: object) -> None:
        self.shared.policies[group] |= changes
        self.world.put_policy(group, self.shared.policies[group])

    def serving(self, group: str = GROUP) -> list[str]:
        return [one["id"] for one in self.tables.members(group) if state(one) == "active"]

    def settled(self, size: int, group: str = GROUP) -> list[str] | None:
        """The members, once there are so many, all serving, and nothing is under way."""
        head, members = self.tables.head(group), self.tables.members(group)
        whole = head and int(head["desired"]) == size and len(members) == size and not self.tables.intents(group)
        return sorted(one["id"] for one in members) if whole and len(self.serving(group)) == size else None

    def until(self, what: str, wanted, seconds: float = PATIENCE_SECONDS):
        try:
            return self.world.until(what, wanted, seconds)
        except Trouble as trouble:
            self.fail(str(trouble))

    def until_settled(self, size: int, group: str = GROUP, seconds: float = PATIENCE_SECONDS) -> list[str]:
        return self.until(f"{group} is {size} members that serve", lambda: self.settled(size, group), seconds)

    def until_activity(self, kind: str, group: str = GROUP, seconds: float = PATIENCE_SECONDS, **fields: object) -> dict:
        """Waits for an activity of this step."""

        def found() -> dict | None:
            ours = (one for one in self.tables.activities(group, kind) if one["since" if kind == "decision" else "at"] >= stamp(self.began))
            return next((one for one in ours if fields.items() <= one.items()), None)

        return self.until(f"{kind} {fields or ''}", found, seconds)

    def set_load(self, percent: float) -> None:
        """A demand that gives each running instance so much, the foreign one too."""
        running = sum(one["state"] == "running" for one in self.ec2.ledger()["instances"])
        self.ec2.set_demand(percent * running)

    # What is looked at.

    def metric(self, name: str) -> float:
        """The sum of a metric that the controller has written to its log in this step."""
        lines = self.world.aws.log_lines("controller-asg", self.began)
        found = (json.loads(line) for line in lines if line.startswith("{") and '"_aws"' in line)
        return sum(one.get(name, 0.0) for one in found)

    def check_ledger(self) -> None:
        shared = self.shared
        found = ledger.problems(self.ec2, self.tables, shared.watch, shared.limits, shared.foreign)
        self.assertEqual(found, [], "\n".join(found))

    def command(self, *words: object) -> str:
        """A command as somebody would type it, who has said where AWS is."""
        return call(list(words), self.world.environment())


def say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)
