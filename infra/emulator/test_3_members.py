"""Members that come and go: lost, drained; and a second group beside the first."""

import json
import os
import signal

from .aws import now, seconds
from .step import GROUP, MAX, OTHER, Step, say
from .tables import state

# As functions.json has it; a lease on a launch that was broken off has to end before anybody tries it again.
LEASE_SECONDS = 190.0


class Test3Members(Step):
    def test_01_the_schedules_expression_says_when_a_group_is_swept(self):
        self.assertEqual(self.tables.sweeps(OTHER), [])
        name = ["--name", f"sweep-{OTHER}", "--group-name", self.world.aws.outputs("emulator-foundation")["ScheduleGroup"]]
        present = json.loads(self.command("aws", "scheduler", "get-schedule", *name, "--output", "json"))
        self.assertEqual(present["ScheduleExpression"], "rate(30 minutes)")
        target = json.dumps(present["Target"])
        more = ["--flexible-time-window", "Mode=OFF", "--target", target]
        self.command("aws", "scheduler", "update-schedule", *name, "--schedule-expression", "rate(1 minute)", *more)
        self.until("a sweep of the other group", lambda: self.tables.sweeps(OTHER))

    def test_02_the_controller_is_killed_between_its_launch_and_what_it_would_write(self):
        """Its lease has to end before the launch is tried again: a later step looks what has become of it."""
        held = {"action": "RunInstances", "when": {"tag": {"muster:group": OTHER}}, "after": True, "latency_ms": 20_000, "times": 1}
        self.ec2.add_rule(**held)
        self.change_policy(OTHER, mode="active")
        [launched] = self.until("a launch of the other group", lambda: self.ec2.alive({"muster:group": OTHER}))
        [intent] = self.tables.intents(OTHER)
        self.assertEqual(intent["id"], launched["intent"])
        self.assertEqual(self.tables.members(OTHER), [])
        for pid in self.world.aws.function_pids("controller-asg"):
            os.kill(pid, signal.SIGKILL)
        self.shared.broken_off = now()
        self.until("a new controller decides", lambda: self.decided_since(self.shared.broken_off))
        self.assertEqual(self.tables.members(OTHER), [])
        self.check_ledger()

    def decided_since(self, at: float) -> bool:
        return any(seconds(one["at"]) > at for one in self.tables.activities(GROUP, "decision"))

    def test_03_a_member_whose_agent_is_killed_is_replaced(self):
        victim = self.until_settled(MAX)[0]
        self.ec2.tell_agent(victim, "kill")
        members = self.until("a replacement", lambda: self.replaced(victim, MAX))
        self.assertNotIn(victim, members)
        replacing = [one for one in self.tables.activities(GROUP, "launched") if one.get("replaces") == victim]
        self.assertEqual(len(replacing), 1)
        self.check_ledger()

    def replaced(self, victim: str, size: int) -> list[str] | None:
        members = self.settled(size)
        return members if members and victim not in members else None

    def test_04_a_load_below_the_threshold_drains_before_anybody_is_terminated(self):
        before = set(self.until_settled(MAX))
        self.set_load(5)
        draining: dict[str, str] = {}

        def shrunk() -> list[str] | None:
            for member in self.tables.members(GROUP):
                if state(member) == "draining":
                    draining.setdefault(member["id"], "marked")
            return self.settled(2)

        after = set(self.until("two members", shrunk))
        for instance in before - after:
            [began] = [one for one in self.tables.activities(GROUP, "draining") if one["instance"] == instance]
            [call] = [one for one in self.ec2.calls("TerminateInstances", self.first_call) if instance in one["instances"]]
            self.assertLess(seconds(began["at"]), seconds(call["time"]))
            told = self.unregistered(instance)
            self.assertTrue(told, f"no sweep says that {instance} was told to drain")
            self.assertLess(told[0], seconds(call["time"]))
            say(f"{instance}: drain claimed, {told[0] - seconds(began['at']):.1f} s later told, terminated after "
                f"{seconds(call['time']) - seconds(began['at']):.1f} s")
        self.check_ledger()

    def unregistered(self, instance: str) -> list[float]:
        """When sweeps have found the member's agent draining or drained, which only `Unregister` makes it."""
        found = []
        for sweep in self.tables.sweeps(GROUP):
            health = (sweep.get("members") or {}).get(instance) if isinstance(sweep.get("members"), dict) else None
            if health and health.get("agent") in ("draining", "drained"):
                found.append(seconds(sweep["finished_at"]))
        return found
