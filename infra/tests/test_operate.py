"""`rollback`, `destroy`, `logs`, and the command line."""

import contextlib
import io
import json
import os
import unittest
from unittest import mock

from operate import __main__ as command_line
from operate import cargo, destroy, logs, rollback
from operate.functions import before
from operate.muster import Muster
from operate.told import Failed, Refused
from template import Template
from test_deploy import Deploying
from test_templates import INFRA
from world import World

ALL = list(cargo.FUNCTIONS)


class RollingBack(Deploying):
    def setUp(self):
        super().setUp()
        for _ in range(3):
            self.deploy()

    def live(self) -> list[int]:
        return [self.world.functions_there[name]["live"] for name in ALL]

    def rollback(self, wanted=None, version=None):
        return rollback.rollback("prod", wanted, version, self.world, self.told)

    def test_all_go_to_the_version_before(self):
        moves = self.rollback()
        self.assertEqual([(one.version_from, one.version_to) for one in moves], [("3", "2")] * 3)
        self.assertEqual(self.live(), [2, 2, 2])
        self.rollback()
        self.assertEqual(self.live(), [1, 1, 1])

    def test_the_next_deployment_moves_on(self):
        self.rollback()
        self.deploy()
        self.assertEqual(self.live(), [4, 4, 4])

    def test_one_alone_and_to_a_version(self):
        self.rollback(["controller-asg"])
        self.rollback(["monitor-s"], 1)
        self.assertEqual(self.live(), [1, 2, 3])

    def test_if_one_cannot_none_does(self):
        self.world.functions_there["controller-asg"]["versions"] = [3]
        with self.assertRaisesRegex(Refused, "controller-asg: live is on version 3, and there is none before"):
            self.rollback()
        self.assertEqual(self.live(), [3, 3, 3])

    def test_a_dashboard_that_came_later_keeps_nobody_from_going_back(self):
        self.world.functions_there["dashboard"]["versions"] = [3]
        self.assertEqual([one.function for one in self.rollback()], ["monitor-s", "controller-asg"])
        self.assertEqual(self.live(), [2, 2, 3])
        self.assertTrue(any("dashboard: live is on version 3, and there is none before it" in line for line in self.told.lines), self.told.lines)
        with self.assertRaisesRegex(Refused, "dashboard: live is on version 3"):
            self.rollback(["dashboard"])

    def test_a_stack_from_before_there_was_a_dashboard_goes_back_without(self):
        self.forget_the_dashboard()
        self.assertEqual([one.function for one in self.rollback()], ["monitor-s", "controller-asg"])
        with self.assertRaisesRegex(Refused, "prod has no dashboard yet"):
            self.rollback(["dashboard"])

    def test_refusals(self):
        for version, told in ((9, "monitor-s has no version 9"), (3, "on version 3 already")):
            with self.assertRaisesRegex(Refused, told):
                self.rollback(version=version)
        self.world.functions_there["monitor-s"]["live"] = None
        with self.assertRaisesRegex(Refused, "monitor-s has no alias live"):
            self.rollback()
        with self.assertRaisesRegex(Refused, "there is no stack other"):
            rollback.rollback("other", None, None, self.world, self.told)

    def test_versions_that_were_deleted_are_passed_over(self):
        self.assertEqual(before([1, 4, 7, 9], 9), 7)
        self.assertEqual(before([1, 4, 9], 7), 4)
        self.assertIsNone(before([7, 9], 7))


class Destroying(Deploying):
    def destroy(self, groups, force=False):
        """`groups` are names and numbers of members; None is a group that has no records yet."""
        listed = [{"group": name, "records": None if members is None else {"members": members}} for name, members in groups.items()]
        return self.destroy_when_told({"stack": "prod", "groups": listed}, force)

    def destroy_when_told(self, answer, force=False):
        (self.folder / "answer").write_text(json.dumps(answer))
        return destroy.destroy("prod", force, self.world, Muster("prod", self.world.environment()), self.told)

    def test_it_refuses_while_groups_have_members_and_names_them(self):
        self.deploy()
        self.world.calls.clear()
        with self.assertRaisesRegex(Refused, r"web \(2\), worker \(1\)"):
            self.destroy({"web": 2, "idle": 0, "worker": 1, "new": None})
        self.assertEqual(self.steps(), [])
        self.assertEqual(self.muster_was_told(), ["--stack prod group list --json"])

    def test_the_last_made_goes_first_and_tables_stay(self):
        self.deploy()
        self.world.interfaces = 2
        self.world.calls.clear()
        gone = self.destroy({"web": 0})
        order = self.world.asked("DeleteStack", "DeleteFunction", "DescribeNetworkInterfaces")
        self.assertEqual(order, ["DeleteStack", *["DeleteFunction"] * 3, *["DescribeNetworkInterfaces"] * 3, "DeleteStack"])
        self.assertEqual(self.muster_was_told()[1:], ["--stack prod group remove web"])
        self.assertEqual((self.world.stacks, self.world.functions_there), ({}, {}))
        self.assertEqual(gone.stays, ["table prod-control", "table prod-sweeps", "table prod-activity"])
        self.assertIn("aws dynamodb delete-table --table-name prod-control", gone.commands[0])
        self.assertIn("--no-deletion-protection-enabled", gone.commands[0])

    def test_force_removes_the_groups_first(self):
        self.deploy()
        self.world.parameters.add("/muster/web/policy")
        gone = self.destroy({"web": 2, "idle": 0}, force=True)
        self.assertEqual(self.muster_was_told()[1:], ["--stack prod group remove idle --force", "--stack prod group remove web --force"])
        self.assertIn("parameter /muster/web/policy", gone.stays)

    def test_a_group_that_cannot_be_removed_stops_it(self):
        self.deploy()
        self.muster.write_text(self.muster.read_text().replace("exit 0", 'case "$*" in *remove*) exit 1;; esac'))
        with self.assertRaisesRegex(Failed, "group remove web --force` ended with exit code 1"):
            self.destroy({"web": 2}, force=True)
        self.assertIn("prod-triggers", self.world.stacks)

    def test_other_stacks_of_ours_are_told(self):
        self.deploy()
        images = {"StackName": "prod-web-image", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
        for name, of in (("prod-web-image", "prod"), ("prod-2-foundation", "prod-2")):
            self.world.stacks[name] = {**images, "StackName": name, "Parameters": [{"ParameterKey": "Stack", "ParameterValue": of}]}
        gone = self.destroy({})
        self.assertIn("stack prod-web-image", gone.stays)
        self.assertIn("aws cloudformation delete-stack --stack-name prod-web-image", "".join(gone.commands))
        self.assertNotIn("stack prod-2-foundation", gone.stays)

    def test_anothers_log_of_a_name_that_this_stack_never_had_is_not_told(self):
        self.deploy()
        self.forget_the_dashboard()
        self.world.log_groups = {"/aws/lambda/dashboard": [], "/aws/lambda/monitor-s": []}
        gone = self.destroy({})
        self.assertIn("log group /aws/lambda/monitor-s", gone.stays)
        self.assertNotIn("log group /aws/lambda/dashboard", gone.stays)

    def test_what_is_gone_is_no_trouble(self):
        self.deploy()
        self.destroy({})
        gone = self.destroy({"web": 2})
        self.assertEqual(gone.deleted, [])
        self.assertEqual(len(gone.stays), 3)

    def test_an_answer_that_is_no_list_of_groups(self):
        self.deploy()
        for answer in ({"web": 1}, [{"group": "web", "members": 1}], {"groups": [{"group": "web"}]}):
            with self.assertRaisesRegex(Failed, "group list --json"):
                self.destroy_when_told(answer)


class Logging(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.world.log_groups = {
            "/aws/lambda/m": [self.event(at, f'{{"fields":{{"group":"web","at":{at}}}}}') for at in (1, 4, 5, 9)],
            "/aws/lambda/c": [self.event(at, f"group=web-2 at={at}\nand more") for at in (2, 3, 6)],
        }
        self.names = {"monitor-s": "m", "controller-asg": "c"}

    def event(self, at: int, text: str) -> dict:
        return {"timestamp": at, "message": text, "eventId": f"{at}"}

    def test_both_are_merged_in_the_order_of_time(self):
        found = [(event.at_ms, event.function) for event in logs.events(self.world, self.names, 2)]
        self.assertEqual([at for at, _ in found], [2, 3, 4, 5, 6, 9])
        self.assertEqual(found[0], (2, "controller-asg"))

    def test_pages_are_read_as_they_are_needed(self):
        next(logs.events(self.world, self.names, 1))
        self.assertEqual(len(self.world.asked("FilterLogEvents")), 2)

    def test_a_group_alone(self):
        self.assertEqual([event.at_ms for event in logs.events(self.world, self.names, 1, "web")], [1, 4, 5, 9])
        self.assertEqual([event.at_ms for event in logs.events(self.world, self.names, 1, "web-2")], [2, 3, 6])
        metric = '{"_aws":{},"Stack":"prod","Group":"web","Members":3}'
        self.assertTrue(logs.about(metric, "web"))
        self.assertFalse(logs.about(metric, "we"))

    def test_following_tells_each_event_once(self):
        late = self.world.log_groups["/aws/lambda/m"]
        with mock.patch("time.sleep", side_effect=lambda _: late.append(self.event(8, "late"))):
            following = logs.follow(self.world, self.names, 1, None)
            found = [next(following).at_ms for _ in range(7)]
            late.append(self.event(11, "new"))
            found += [next(following).at_ms for _ in range(1)]
        self.assertEqual(found[:7], [1, 2, 3, 4, 5, 6, 9])
        self.assertIn(found[7], (8, 11))

    def test_one_line_an_event(self):
        lines = [event.line() for event in logs.events(self.world, self.names, 2)]
        self.assertEqual(lines[0], "1970-01-01T00:00:00.002Z  controller-asg  group=web-2 at=2 and more")

    def test_no_log_group(self):
        with self.assertRaisesRegex(Refused, "no log group /aws/lambda/x"):
            list(logs.events(self.world, {"monitor-s": "x"}, 0))

    def test_spans(self):
        self.assertEqual([logs.span_ms(text) for text in ("90s", "10m", "2h", "1d")], [90_000, 600_000, 7_200_000, 86_400_000])
        for text in ("10", "m", "0m", "-1s", "1.5h"):
            with self.assertRaises(ValueError):
                logs.span_ms(text)


class CargoLambdasWords(unittest.TestCase):
    def test_causes_are_whole(self):
        # As cargo-lambda 1.9.2 says it.
        said = """▹▹▹▹▹ loading binary data
▹▹▹▹▹ deploying functionError:   × failed to create the new lambda function
  ├─▶ service error
  ├─▶ InvalidParameterValueException: The role defined for the function cannot
  │   be assumed by Lambda.
  ╰─▶ InvalidParameterValueException: The role defined for the function cannot
      be assumed by Lambda.

  Was this behavior unexpected?
  Start a thread in https://github.com/cargo-lambda/cargo-lambda/discussions
"""
        causes = [
            "failed to create the new lambda function", "service error",
            "InvalidParameterValueException: The role defined for the function cannot be assumed by Lambda.",
        ]
        self.assertEqual(cargo.last_words(said).splitlines(), [f"  {cause}" for cause in causes])
        self.assertEqual(cargo.last_words("Error: no such file\n"), "  no such file")


class CommandLine(unittest.TestCase):
    def refused(self, *words: str) -> str:
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            try:
                code = command_line.main(list(words))
            except SystemExit as ended:
                code = ended.code
        self.assertEqual(code, 2, told.getvalue())
        return told.getvalue()

    def test_errors_name_the_option_and_the_range(self):
        deploy = ("deploy", "--stack", "prod")
        cases = [
            (("deploy", "--stack", "Prod"), "--stack", "a-z0-9"),
            (("deploy",), "--stack", "must name"),
            ((*deploy, "--log-days", "8"), "--log-days", "1, 3, 5, 7"),
            ((*deploy, "--agent-port", "70000"), "--agent-port", "1-65535"),
            ((*deploy, "--agent-range", "10.0.0.1/8"), "--agent-range", "10.0.0.0/16"),
            ((*deploy, "--subnets", "sub-1"), "--subnets", "subnet-"),
            ((*deploy, "--subnets", "subnet-a,subnet-a"), "--subnets", "each once"),
            ((*deploy, "--route-tables", "subnet-a"), "--route-tables", "rtb-"),
            ((*deploy, "--env", "A"), "--env", "NAME=VALUE"),
            ((*deploy, "--image", "ami-1"), "--image", "--group"),
            ((*deploy, "--shards", "2"), "--shards", "--group"),
            ((*deploy, "--dashboard-url", "maybe"), "--dashboard-url", "yes"),
            (("rollback", "--stack", "prod", "--version", "0"), "--version", "from 1 on"),
            (("rollback", "--stack", "prod", "--shards", "2"), "--shards", "unrecognized"),
            (("logs", "--stack", "prod", "--since", "yesterday"), "--since", "10m"),
        ]
        for words, option, range_ in cases:
            with self.subTest(words=words):
                told = self.refused(*words)
                self.assertIn(option, told)
                self.assertIn(range_, told)

    def test_options_after_a_group_are_passed_on(self):
        arguments, further = command_line.parse(["deploy", "--stack", "prod", "--group", "web", "--max", "9", "--instance-type", "t3.small"])
        self.assertEqual((arguments.group, further), ("web", ["--max", "9", "--instance-type", "t3.small"]))

    def test_ranges_are_the_templates_own(self):
        told = Template(INFRA / "foundation.yaml").raw["Parameters"]
        self.assertEqual(told["Stack"]["AllowedPattern"], command_line.STACK_NAME)
        self.assertEqual(told["MonitorFunction"]["AllowedPattern"], command_line.FUNCTION_NAME)
        self.assertEqual(told["ControllerFunction"]["AllowedPattern"], command_line.FUNCTION_NAME)
        self.assertEqual(told["DashboardFunction"]["AllowedPattern"], command_line.FUNCTION_NAME)
        self.assertEqual(tuple(told["LogDays"]["AllowedValues"]), command_line.LOG_DAYS)
        port = told["AgentPort"]
        self.assertEqual((port["MinValue"], port["MaxValue"]), (command_line.PORTS[0], command_line.PORTS[-1]))

    def test_who_interrupts_is_told_what_is_under_way(self):
        told = io.StringIO()

        def interrupted(_arguments, _further, progress):
            progress.doing("prod-foundation is being created")
            raise KeyboardInterrupt

        with mock.patch.object(command_line, "run_deploy", interrupted), contextlib.redirect_stderr(told):
            self.assertEqual(command_line.main(["deploy", "--stack", "prod"]), 130)
        self.assertIn("Under way was: prod-foundation is being created", told.getvalue())
        self.assertIn("does the rest", told.getvalue())

    def test_no_region(self):
        bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with mock.patch.dict(os.environ, {**bare, "AWS_CONFIG_FILE": "/dev/null"}, clear=True):
            self.assertIn("AWS_REGION", self.refused("rollback", "--stack", "prod"))
