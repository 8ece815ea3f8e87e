"""What the functions are deployed with, and how `cargo lambda deploy` is told."""

import unittest
from pathlib import Path

from operate.functions import changes
from operate.settings import check_added, code_flags, environment_file, flags, settings
from operate.told import Refused
from rules import Stack
from test_templates import INFRA

FILE = Path("/tmp/settings.env")


def of(function: str, subnets=("subnet-a", "subnet-b"), added=None, **environ: str):
    outputs = {name: str(value) for name, value in Stack(INFRA).foundation.outputs().items()}
    return settings(function, outputs, environ, list(subnets), added)


class Flags(unittest.TestCase):
    maxDiff = None

    def test_monitor_s_goes_into_the_vpc(self):
        role = "arn:aws:iam::111122223333:role/muster/prod/MonitorRole"
        expected = ["--alias", "live", "--binary-name", "monitor-s", "--role", role, "--timeout", "180", "--memory", "256"]
        expected += ["--tag", "muster:stack=prod", "--subnet-ids", "subnet-a,subnet-b"]
        expected += ["--security-group-ids", "MonitorSecurityGroup.GroupId", "--env-file", str(FILE)]
        wanted = of("monitor-s")
        self.assertEqual(flags(wanted, FILE), expected)
        self.assertEqual(wanted.name, "monitor-s")
        self.assertEqual(wanted.environment, {"MUSTER_STACK": "prod"})

    def test_monitor_s_is_not_deployed_without_subnets(self):
        with self.assertRaisesRegex(Refused, "--subnets"):
            of("monitor-s", subnets=())

    def test_controller_asg_stays_outside(self):
        told = flags(of("controller-asg"), FILE)
        self.assertNotIn("--subnet-ids", told)
        self.assertNotIn("--security-group-ids", told)

    def test_dashboard_stays_outside_and_is_told_its_stack_alone(self):
        wanted = of("dashboard")
        role = "arn:aws:iam::111122223333:role/muster/prod/DashboardRole"
        expected = ["--alias", "live", "--binary-name", "dashboard", "--role", role, "--timeout", "30", "--memory", "512"]
        self.assertEqual(flags(wanted, FILE), [*expected, "--tag", "muster:stack=prod", "--env-file", str(FILE)])
        self.assertEqual(wanted.environment, {"MUSTER_STACK": "prod"})

    def test_what_is_empty_is_left_out(self):
        expected = {"MUSTER_STACK": "prod", "MUSTER_AGENT_PORT": "7717", "MUSTER_LEASE_SECONDS": "190"}
        self.assertEqual(of("controller-asg").environment, expected)
        hook = "https://example.com/hook"
        self.assertEqual(of("controller-asg", MUSTER_WEBHOOK_URL=hook).environment, {**expected, "MUSTER_WEBHOOK_URL": hook})

    def test_new_code_alone_touches_no_setting(self):
        self.assertEqual(code_flags(of("monitor-s")), ["--alias", "live", "--binary-name", "monitor-s"])

    def test_what_no_output_names_is_told_with_its_file(self):
        with self.assertRaisesRegex(Refused, r"functions.json: monitor-s: \$\{Monitor.*\} is no output"):
            settings("monitor-s", {"Stack": "prod"}, {}, ["subnet-a"])


class Environment(unittest.TestCase):
    def test_added_variables_are_every_functions(self):
        for function in ("monitor-s", "controller-asg", "dashboard"):
            self.assertEqual(of(function, added={"HTTPS_PROXY": "http://p:1"}).environment["HTTPS_PROXY"], "http://p:1")

    def test_a_variable_of_ours_goes_to_those_who_read_it(self):
        added = {"MUSTER_WEBHOOK_FORMAT": "slack"}
        self.assertNotIn("MUSTER_WEBHOOK_FORMAT", of("monitor-s", added=added).environment)
        self.assertEqual(of("controller-asg", added=added).environment["MUSTER_WEBHOOK_FORMAT"], "slack")
        check_added(added)
        with self.assertRaisesRegex(Refused, "--env MUSTER_WEBHOOKS_URL"):
            check_added({"MUSTER_WEBHOOKS_URL": "x"})

    def test_what_is_not_given_keeps_its_value(self):
        present = {"MUSTER_STACK": "old", "MUSTER_WEBHOOK_URL": "https://kept", "HTTPS_PROXY": "http://kept", "MUSTER_GONE": "1"}
        merged = of("controller-asg").merged(present)
        self.assertEqual(merged["MUSTER_STACK"], "prod")
        self.assertEqual(merged["MUSTER_WEBHOOK_URL"], "https://kept")
        self.assertEqual(merged["HTTPS_PROXY"], "http://kept")
        self.assertNotIn("MUSTER_GONE", merged)

    def test_an_empty_value_takes_a_variable_away(self):
        merged = of("controller-asg", added={"MUSTER_WEBHOOK_URL": "", "HTTPS_PROXY": ""}).merged({"MUSTER_WEBHOOK_URL": "x", "HTTPS_PROXY": "y"})
        self.assertNotIn("MUSTER_WEBHOOK_URL", merged)
        self.assertNotIn("HTTPS_PROXY", merged)

    def test_values_are_quoted_so_that_nothing_in_them_has_a_meaning(self):
        self.assertEqual(environment_file({"A": "a,b #c $HOME", "B": "it's"}), "A='a,b #c $HOME'\nB=\"it's\"\n")
        for value in ("a\nb", "'\"`", "it's a \\"):
            with self.assertRaisesRegex(Refused, "the value of A"):
                environment_file({"A": value})


class Changes(unittest.TestCase):
    def present(self) -> dict:
        wanted = of("monitor-s")
        return {
            "Role": wanted.role, "Timeout": 180, "MemorySize": 256, "Environment": {"Variables": {"MUSTER_STACK": "prod"}},
            "VpcConfig": {"SubnetIds": ["subnet-b", "subnet-a"], "SecurityGroupIds": ["MonitorSecurityGroup.GroupId"], "VpcId": "vpc-1"},
        }

    def test_nothing_changes_of_what_is_as_it_should_be(self):
        self.assertEqual(changes(of("monitor-s"), self.present()), {})

    def test_each_setting_is_applied_by_itself(self):
        for key, old in (("Role", "arn:other"), ("Timeout", 3), ("MemorySize", 128)):
            self.assertEqual(list(changes(of("monitor-s"), {**self.present(), key: old})), [key])

    def test_subnets_and_security_group_are_applied(self):
        present = self.present()
        present["VpcConfig"]["SecurityGroupIds"] = ["sg-old"]
        expected = {"SubnetIds": ["subnet-a", "subnet-b"], "SecurityGroupIds": ["MonitorSecurityGroup.GroupId"]}
        self.assertEqual(changes(of("monitor-s"), present), {"VpcConfig": expected})
        self.assertEqual(list(changes(of("monitor-s", subnets=["subnet-c"]), self.present())), ["VpcConfig"])

    def test_a_function_without_an_environment_or_a_vpc(self):
        present = {"Role": of("controller-asg").role, "Timeout": 120, "MemorySize": 256}
        self.assertEqual(list(changes(of("controller-asg"), present)), ["Environment"])
