"""What must hold of everything that was ever done, whatever went wrong: the contract's S1-S4, and C1.

The ledger of our EC2 says what was done; the stack's tables say what was meant. A thread looks at the tables all the time, since what it looks
for, more members than there may be, passes.
"""

import threading
from dataclasses import dataclass, field

from .aws import Aws, client, seconds
from .ec2 import Ec2
from .tables import Tables, actual, is_launch, state

LOOK_SECONDS = 0.2
# Clocks are one, but EC2 writes down when a call came, and the table when a decision was taken.
CLOCKS_SECONDS = 0.002


@dataclass
class Seen:
    """What the watch has seen of a group."""

    most: int = 0
    # When each launch's intent was committed.
    launches: dict[str, float] = field(default_factory=dict)
    # Whom the tables called Terminating at any time, or held a terminate intent of.
    terminating: set[str] = field(default_factory=set)


class Watch:
    """Looks at the groups until it is stopped."""

    def __init__(self, aws: Aws, stack: str):
        # A client of its own: it is another thread's.
        self._tables = Tables(client("dynamodb", aws.url), stack)
        self.seen: dict[str, Seen] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add(self, group: str) -> None:
        self.seen = self.seen | {group: Seen()}

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            for group, seen in self.seen.items():
                # Two reads are not a snapshot: intents first, as the product reads them.
                intents = self._tables.intents(group)
                members = self._tables.members(group)
                note(seen, members, intents)

    def problems(self) -> list[str]:
        return [] if self._thread.is_alive() else ["the watch has ended: nobody knows how many members there were"]


def note(seen: Seen, members: list[dict], intents: list[dict]) -> None:
    known = {member["intent"] for member in members}
    # One that was settled between the two reads is a member by now.
    open_intents = [intent for intent in intents if intent["id"] not in known]
    seen.most = max(seen.most, actual(members, open_intents))
    seen.launches |= {intent["id"]: seconds(intent["at"]) for intent in intents if is_launch(intent)}
    seen.launches |= {member["intent"]: seconds(member["intended_at"]) for member in members}
    seen.terminating |= {member["id"] for member in members if state(member) == "terminating"}
    seen.terminating |= {intent["call"]["terminate"]["instance"] for intent in intents if not is_launch(intent)}


def problems(ec2: Ec2, tables: Tables, watch: Watch, most: dict[str, int], foreign: list[str]) -> list[str]:
    """Each rule that is broken, with the names of what breaks it; nothing if all hold. `most` is max_instances of each group."""
    ledger = ec2.ledger()
    ours = [found for found in ledger["instances"] if found["id"] not in foreign and found["tags"].get("muster:stack") == tables.stack]
    found = watch.problems()
    strangers = {one["id"] for one in ledger["instances"]} - {one["id"] for one in ours} - set(foreign)
    found += [f"L7: {instance} was launched without our tags" for instance in sorted(strangers)]
    meant: set[str] = set()
    for group, limit in most.items():
        seen = watch.seen[group]
        if seen.most > limit:
            found.append(f"S1: {group} had {seen.most} members at a time, and max_instances is {limit}")
        members = [one for one in ours if one["tags"].get("muster:group") == group]
        found += intent_problems(members, seen, tables.activities(group))
        meant |= seen.terminating | {one["instance"] for one in tables.activities(group, "terminated")}
    found += termination_problems(ledger, ours, meant)
    touched = {one["id"]: one["state"] for one in ledger["instances"] if one["id"] in foreign and one["state"] not in ("pending", "running")}
    found += [f"C1: the foreign instance {instance} is {became}" for instance, became in touched.items()]
    return found


def intent_problems(instances: list[dict], seen: Seen, activities: list[dict]) -> list[str]:
    found = []
    by_intent: dict[str, list[dict]] = {}
    for instance in instances:
        by_intent.setdefault(instance["intent"] or "", []).append(instance)
    settled = {one["intent"] for one in activities if "intent" in one}
    for intent, launched in by_intent.items():
        names = ", ".join(one["id"] for one in launched)
        tokens = {one["token"] for one in launched}
        if not intent or tokens == {None}:
            found.append(f"S3: {names} has no intent or no token")
        elif len(launched) > 1:
            found.append(f"S2: {intent} has launched {names}")
        elif intent not in seen.launches and intent not in settled:
            found.append(f"S3: {names} was launched for {intent}, which nobody has committed")
        elif seen.launches.get(intent, 0.0) > seconds(launched[0]["launched"]) + CLOCKS_SECONDS:
            found.append(f"S3: {names} was launched before {intent} was committed")
    return found


def termination_problems(ledger: dict, ours: list[dict], meant: set[str]) -> list[str]:
    tagged = {one["id"] for one in ours}
    found = []
    for call in ledger["calls"]:
        if call["action"] != "TerminateInstances" or call["code"]:
            continue
        for instance in call["instances"]:
            if instance not in tagged:
                found.append(f"S4: {instance} was terminated, and has none of our tags")
            elif instance not in meant:
                found.append(f"S4: {instance} was terminated without an intent")
    return found
