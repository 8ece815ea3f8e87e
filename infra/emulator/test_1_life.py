"""A stack's beginning: deployed, woken, grown to its size, and grown under load."""

import json
import re
import urllib.request

from .aws import now, seconds
from .build import call
from .crossing import Crossing
from .page import Page
from .processes import Process
from .step import FOREIGN_TAGS, FUNCTIONS, GROUP, MAX, OTHER, Step, say
from .world import IMAGE

LIMIT_SECONDS = 12.0
SWEEP_SECONDS = 10.0
# A schedule of one minute ticks within two of ministack's looks at the clock.
TICK_SECONDS = 90.0


class Test1Life(Step):
    def test_01_deploy_makes_the_stack_and_its_functions(self):
        done = self.world.deploy()
        self.shared.deployed = True
        self.assertEqual({one["change"] for one in done["stacks"]}, {"created"})
        self.assertEqual({one["alias"] for one in done["functions"]}, {"live"})
        for function in FUNCTIONS:
            live = self.world.aws.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
            self.assertEqual(live["Runtime"], "provided.al2023")
            self.assertIn("AWS_ENDPOINT_URL_EC2", live["Environment"]["Variables"])

    def test_02_two_groups_are_added(self):
        self.add_group(GROUP, "rate(1 minute)", min_instances=2, max_instances=MAX, warm_up="1s")
        # Nobody is to wake for this one before a later step says so.
        self.add_group(OTHER, "rate(30 minutes)", mode="observe", min_instances=1, max_instances=3, sweep_interval="5s")
        listed = json.loads(self.world.muster("group", "list", "--json"))
        self.assertEqual({one["group"] for one in listed["groups"]}, {GROUP, OTHER})
        for group in (GROUP, OTHER):
            [copied] = self.ec2.client.describe_launch_templates(LaunchTemplateNames=[f"emulator-{group}"])["LaunchTemplates"]
            self.assertIn({"Key": "muster:stack", "Value": "emulator"}, copied["Tags"])

    def test_03_somebody_launches_an_instance_by_hand(self):
        tags = [{"Key": key, "Value": value} for key, value in FOREIGN_TAGS.items()]
        launched = self.ec2.client.run_instances(
            ImageId=IMAGE, InstanceType="t3.small", MinCount=1, MaxCount=1, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        self.shared.foreign += [one["InstanceId"] for one in launched["Instances"]]

    def test_04_the_schedule_wakes_monitor_s_and_the_stream_wakes_controller_asg_which_launches_min(self):
        self.ec2.set_demand(120)
        self.until("a sweep", lambda: self.tables.sweeps(GROUP), TICK_SECONDS)
        first = self.tables.sweeps(GROUP)[0]
        self.until("both launches", lambda: len(self.ec2.calls("RunInstances", self.first_call)) >= 2)
        launch = self.ec2.calls("RunInstances", self.first_call)[0]
        say(f"{seconds(launch['time']) - seconds(first['finished_at']):.2f} s from the end of the first sweep to the first RunInstances")
        self.until_settled(2)
        self.assertEqual(self.tables.sweeps(OTHER), [])
        self.check_ledger()

    def test_05_a_load_above_the_threshold_makes_it_grow_within_twelve_seconds(self):
        """The demand may cross the threshold at any moment between two sweeps. Just after one it waits longest. Three seconds before one most of what
        the agents have measured since the last is of the time before, and it must be seen all the same."""
        self.assertEqual(self.grown(4, lambda: True), 4)
        self.assertEqual(self.grown(MAX, lambda: SWEEP_SECONDS - now() % SWEEP_SECONDS <= 3.5), MAX)
        self.set_load(50)
        self.check_ledger()

    def grown(self, size: int, moment) -> int:
        """The group's size after its demand has crossed the threshold at that moment."""
        self.set_load(62)
        self.until("a sweep that sees the load", lambda: 60 <= self.mean() <= 64)
        crossing = Crossing(self.ec2, self.shared.policies[GROUP]["scaling"]["cpu_up_threshold"])
        self.until("the moment", moment)
        running = len(self.ec2.alive())
        crossing.set_demand(95 * running)
        took = self.until("a launch", crossing.look)
        say(f"{took:.1f} s from the load crossing the threshold to RunInstances, with sweeps ten seconds apart")
        self.assertLessEqual(took, LIMIT_SECONDS)
        self.set_load(50)
        return len(self.until_settled(size))

    def mean(self) -> float:
        status = self.world.status(GROUP)
        return (status and status["sweep"] and status["sweep"]["mean"]) or 0.0

    def test_06_a_policy_that_is_edited_by_aws_ssm_takes_effect(self):
        quicker = {"sweep_interval": "2s", "stabilization_in": "6s", "cooldown_in": "4s", "in_window": "4s", "out_window": "4s"}
        health = {"grace_period": "6s", "unhealthy_after": "4s", "boot_timeout": "60s", "repair_interval": "4s"}
        # With room for a replacement beside whom it replaces.
        self.shared.limits[GROUP] = MAX + 1
        self.shared.policies[GROUP] |= quicker | {"health": health, "max_instances": MAX + 1}
        text = json.dumps(self.shared.policies[GROUP])
        self.command("aws", "ssm", "put-parameter", "--name", f"/muster/{GROUP}/policy", "--type", "String", "--overwrite", "--value", text)
        self.until("HEAD has the interval", lambda: int(self.tables.head(GROUP)["sweep_interval_ms"]) == 2000)
        self.until_activity("policy-accepted")
        since = len(self.tables.sweeps(GROUP))
        self.until("three more sweeps", lambda: len(self.tables.sweeps(GROUP)) >= since + 3, 20)

    def test_07_an_edit_that_is_invalid_is_refused_and_counted_and_the_last_good_one_stays(self):
        before = self.tables.head(GROUP)["policy"]
        bad = json.dumps(self.shared.policies[GROUP] | {"max_instances": 0})
        self.command("aws", "ssm", "put-parameter", "--name", f"/muster/{GROUP}/policy", "--type", "String", "--overwrite", "--value", bad)
        refused = self.until_activity("policy-refused")
        self.assertIn("max_instances", refused["reason"])
        self.until("the metric Refusals", lambda: self.metric("Refusals") == 1.0, 20)
        self.assertEqual(self.tables.head(GROUP)["policy"], before)
        self.assertIn("max_instances", self.world.status(GROUP)["policy"]["notice"])
        self.change_policy()
        self.until("the edit that mends it", lambda: not self.world.status(GROUP)["policy"]["notice"])
        self.until_settled(MAX)

    def test_08_the_page_shows_the_group_as_it_is(self):
        page = Page(self.world.aws, self.world.stack)
        self.assertEqual(page.ask("/api/groups", signed=False).status, 403)
        first = page.ask("/")
        self.assertEqual((first.status, first.headers["content-type"].partition(";")[0]), (200, "text/html"))
        self.assertIn("default-src 'none'", first.headers["content-security-policy"])
        assets = re.findall(r'(?:src|href)="\.?/(assets/[^"]+)"', first.body.decode())
        self.assertGreaterEqual(len(assets), 1, first.body.decode())
        for asset in assets:
            self.assertEqual(page.ask(f"/{asset}").status, 200, asset)
        groups = {one["group"]: one for one in page.ask("/api/groups").json()["groups"]}
        # The other one is listed once somebody has decided about it.
        self.assertLessEqual(set(groups), {GROUP, OTHER})
        self.assertEqual((groups[GROUP]["desired"], groups[GROUP]["serving"]), (MAX, MAX))
        shown = page.ask(f"/api/groups/{GROUP}").json()
        self.assertEqual((shown["mode"], shown["desired"], shown["counts"]["serving"]), ("active", MAX, MAX))
        self.assertEqual(shown["bounds"], {"min": 2, "max": MAX + 1})
        members = {one["id"]: one["phase"] for one in page.ask(f"/api/groups/{GROUP}/members").json()["members"]}
        self.assertEqual(members, dict.fromkeys(self.serving(), "in-service"))
        self.assertEqual(page.ask("/api/groups/nobody").json()["error"]["code"], "not-found")

    def test_09_what_has_not_changed_is_not_told_twice(self):
        page = Page(self.world.aws, self.world.stack)
        schema = page.ask("/api/policy/schema")
        again = page.ask("/api/policy/schema", if_none_match=schema.headers["etag"])
        self.assertEqual((schema.status, again.status, again.body), (200, 304, b""))

    def test_10_a_group_is_paused_and_resumed_and_a_member_protected_from_the_page_alone(self):
        page = Page(self.world.aws, self.world.stack)
        pause = {"reason": "tried on the emulator", "until": None}
        elsewhere = page.ask(f"/api/groups/{OTHER}/pause", "POST", pause, origin="https://example.com")
        self.assertEqual((elsewhere.status, elsewhere.json()["error"]["code"]), (403, "forbidden"))
        before = self.policy(OTHER)
        paused = page.ask(f"/api/groups/{OTHER}/pause", "POST", pause, origin=page.url)
        self.assertEqual(paused.status, 200, paused.body)
        self.assertEqual(self.policy(OTHER)["pause"]["reason"], pause["reason"])
        self.assertEqual(page.ask(f"/api/groups/{OTHER}/resume", "POST", {}).status, 200)
        self.assertEqual(self.policy(OTHER), before)
        stale = {"text": json.dumps(before), "revision": "0" * 64}
        self.assertEqual(page.ask(f"/api/groups/{OTHER}/policy", "PUT", stale).status, 409)

        member = self.serving()[0]
        for on in (True, False):
            marked = page.ask(f"/api/groups/{GROUP}/members/{member}/protect", "POST", {"on": on})
            self.assertEqual(marked.status, 200, marked.body)
            self.assertEqual(self.tags(member).get("muster:protected"), "true" if on else None)
        refused = page.ask(f"/api/groups/{OTHER}/members/{member}/protect", "POST", {"on": True})
        self.assertGreaterEqual(refused.status, 400)
        self.assertNotIn("muster:protected", self.tags(member))

    def test_11_an_operators_commands_tell_of_the_group(self):
        def told(*words: object, fine: tuple[int, ...] = (0,)) -> dict:
            return json.loads(call([self.world.command, "--stack", self.world.stack, *words, "--json"], self.world.environment(), fine=fine))

        members = told("members", "--group", GROUP)["members"]
        self.assertEqual({one["id"] for one in members}, set(self.serving()))
        self.assertTrue(all(re.fullmatch(r"\d+\.\d+\.\d+", one["agent_version"]) for one in members), members)
        self.assertTrue(told("explain", "--group", GROUP)["explained"]["would"])
        self.assertTrue(told("history", "--group", GROUP)["items"])
        replayed = told("replay", "--group", GROUP)
        self.assertEqual((replayed["differ"], replayed["cannot"]), (0, []), replayed)
        self.assertGreater(replayed["agree"], 3)
        # The other group is too young to be well.
        findings = told("doctor", fine=(0, 3))["findings"]
        unwell = [one for one in findings if one.get("group") != OTHER and one["verdict"] == "bad"]
        self.assertEqual(unwell, [])
        self.assertLessEqual({"region", "credentials", "tables", "stream", "stacks"}, {one["check"] for one in findings if one["verdict"] == "ok"})

    def test_12_the_dashboard_on_the_operators_own_machine_tells_the_same(self):
        command = [self.world.command, "--stack", self.world.stack, "dashboard", "--json"]
        log = self.world.state / "dashboard.log"
        server = Process("muster dashboard", command, self.world.environment(), log)
        try:
            # One object over several lines: it is whole with its last brace.
            url = json.loads(self.until("its address", lambda: log.read_text() if log.read_text().endswith("}\n") else None, 30))["url"]

            def ask(path: str) -> bytes:
                with urllib.request.urlopen(f"{url.rstrip('/')}{path}", timeout=30) as answer:
                    return answer.read()

            self.assertIn(b"<!doctype html>", ask("/"))
            shown = json.loads(ask(f"/api/groups/{GROUP}"))
            self.assertEqual((shown["mode"], shown["desired"], shown["counts"]["serving"]), ("active", MAX, MAX))
            self.assertEqual({one["id"] for one in json.loads(ask(f"/api/groups/{GROUP}/members"))["members"]}, set(self.serving()))
        finally:
            server.end()

    def policy(self, group: str) -> dict:
        return json.loads(self.world.aws.client("ssm").get_parameter(Name=f"/muster/{group}/policy")["Parameter"]["Value"])

    def tags(self, instance: str) -> dict[str, str]:
        [reserved] = self.ec2.client.describe_instances(InstanceIds=[instance])["Reservations"]
        return {one["Key"]: one["Value"] for one in reserved["Instances"][0]["Tags"]}
