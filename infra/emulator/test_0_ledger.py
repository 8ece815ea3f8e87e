"""The ledger's check finds what it looks for."""

import unittest

from .aws import seconds, stamp
from .ledger import Seen, intent_problems, note, termination_problems

AT = seconds("2026-11-22T10:00:00.5Z")


def instance(name: str, intent: str | None = "intent-1") -> dict:
    return {"id": name, "intent": intent, "token": "token-1", "launched": "2026-11-22T10:00:00.5Z"}


def terminated(*instances: str, code: str | None = None) -> dict:
    return {"calls": [{"action": "TerminateInstances", "code": code, "instances": list(instances)}]}


class Test0Ledger(unittest.TestCase):
    def test_an_intent_with_one_instance_after_it_is_right(self):
        self.assertEqual(intent_problems([instance("i-1")], Seen(launches={"intent-1": AT}), []), [])
        self.assertEqual(intent_problems([instance("i-1")], Seen(), [{"intent": "intent-1"}]), [])

    def test_s2_an_intent_with_two_instances(self):
        [found] = intent_problems([instance("i-1"), instance("i-2")], Seen(launches={"intent-1": AT}), [])
        self.assertEqual(found, "S2: intent-1 has launched i-1, i-2")

    def test_s3_an_instance_without_an_intent_or_before_it(self):
        cases = [(None, Seen(), "no intent"), ("intent-1", Seen(), "nobody has committed"), ("intent-1", Seen(launches={"intent-1": AT + 1}), "before")]
        for intent, seen, expected in cases:
            [found] = intent_problems([instance("i-1", intent)], seen, [])
            self.assertIn(expected, found)

    def test_s4_who_is_terminated_is_ours_and_was_meant(self):
        ours = [instance("i-1")]
        self.assertEqual(termination_problems(terminated("i-1"), ours, {"i-1"}), [])
        self.assertEqual(termination_problems(terminated("i-2", code="UnauthorizedOperation"), ours, set()), [])
        self.assertIn("without an intent", termination_problems(terminated("i-1"), ours, set())[0])
        self.assertIn("none of our tags", termination_problems(terminated("i-2"), ours, {"i-2"})[0])

    def test_s1_members_and_open_launches_count_and_those_that_leave_do_not(self):
        seen = Seen()
        leaving = {"terminating": {}}
        members = [
            {"id": f"i-{n}", "intent": f"{n}", "intended_at": stamp(AT), "state": state}
            for n, state in enumerate(["active", "pending", leaving])
        ]
        launches = [{"id": name, "at": stamp(AT), "call": {"launch": {}}} for name in ("0", "9")]
        note(seen, members, launches)
        self.assertEqual((seen.most, seen.terminating), (3, {"i-2"}))
        note(seen, [], [])
        self.assertEqual(seen.most, 3)
