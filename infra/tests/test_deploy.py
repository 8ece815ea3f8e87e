"""What `deploy` does to an account, and in which order; what it finds out, keeps, and refuses."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from operate import cargo, deploy, network
from operate.deploy import Request
from operate.stacks import parameter_names
from operate.told import Failed, Refused
from rules import TEMPLATES
from template import Template
from test_templates import INFRA
from world import CargoLambda, Silent, World

STEPS = ("CreateStack", "UpdateStack", "DeleteStack", "UpdateFunctionConfiguration", "create", "update")


class Deploying(unittest.TestCase):
    """A world, bootstraps, and a `muster` that writes down what it is told."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for function in cargo.FUNCTIONS:
            (self.folder / function).mkdir()
            # As much of an ELF header as says for which processor.
            (self.folder / function / "bootstrap").write_bytes(b"\x7fELF" + bytes(14) + b"\x3e\x00")
        self.muster = self.folder / "muster"
        self.said = self.folder / "said"
        self.muster.write_text(f'#!/bin/sh\necho "$@" >> {self.said}\ncase "$*" in *list*) cat {self.folder}/answer;; esac\nexit 0\n')
        self.muster.chmod(0o755)
        self.enterContext(mock.patch.dict(os.environ, {"MUSTER": str(self.muster)}))
        self.enterContext(mock.patch("time.sleep"))
        self.world, self.told = World(), Silent()
        self.cargo = CargoLambda(self.world)
        self.enterContext(mock.patch.object(cargo, "CargoLambda", lambda *_: self.cargo))

    def deploy(self, subnets=("subnet-a", "subnet-b"), stack="prod", environ=None, **more):
        request = Request(stack, list(subnets) if subnets else None, bootstraps=str(self.folder), **more)
        return deploy.deploy(request, self.world, environ or {}, self.told)

    def parameters(self, stack="prod-foundation") -> dict:
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.world.stacks[stack]["Parameters"]}

    def forget_the_dashboard(self) -> None:
        """Leaves the stack as it was made before there was a Dashboard."""
        foundation = self.world.stacks["prod-foundation"]
        foundation["Outputs"] = [one for one in foundation["Outputs"] if not one["OutputKey"].startswith("Dashboard")]
        foundation["Parameters"] = [one for one in foundation["Parameters"] if one["ParameterKey"] != "DashboardFunction"]
        del self.world.functions_there["dashboard"]

    def steps(self) -> list[str]:
        return [
            f"{operation} {told.get('StackName') or told.get('FunctionName') or told.get('name')}"
            for _, operation, told in self.world.calls if operation in STEPS
        ]

    def muster_was_told(self) -> list[str]:
        return self.said.read_text().splitlines() if self.said.exists() else []


class Order(Deploying):
    maxDiff = None

    def test_the_first_deployment(self):
        done = self.deploy(group="web", group_options=["--image", "ami-1", "--max", "9"])
        expected = ["CreateStack prod-foundation", "create monitor-s", "create controller-asg", "create dashboard", "CreateStack prod-triggers"]
        self.assertEqual(self.steps(), expected)
        self.assertEqual(self.muster_was_told(), ["--stack prod group add web --subnets subnet-a,subnet-b --image ami-1 --max 9"])
        self.assertEqual([(one.name, one.version, one.change) for one in done.functions], [(name, "1", "created") for name in cargo.FUNCTIONS])
        self.assertEqual(done.dashboard_url, "DashboardFunctionUrl.FunctionUrl")
        for name in cargo.FUNCTIONS:
            self.assertEqual(self.world.functions_there[name]["tags"]["muster:stack"], "prod")

    def test_once_more_is_new_code_alone(self):
        self.deploy()
        self.world.calls.clear()
        done = self.deploy(subnets=None)
        updates = [f"update {name}" for name in cargo.FUNCTIONS]
        self.assertEqual(self.steps(), ["UpdateStack prod-foundation", *updates, "UpdateStack prod-triggers"])
        self.assertEqual([one.change for one in done.stacks], ["unchanged", "unchanged"])
        self.assertEqual([one.version for one in done.functions], ["2"] * 3)

    def test_a_stack_from_before_there_was_a_dashboard_gets_one(self):
        self.deploy()
        self.forget_the_dashboard()
        self.world.calls.clear()
        done = self.deploy(subnets=None)
        self.assertEqual(self.steps()[3], "create dashboard")
        self.assertEqual([one.change for one in done.functions], ["updated", "updated", "created"])

    def test_a_stack_without_a_url_stays_without(self):
        done = self.deploy(given_triggers={"dashboard_url": "no"})
        self.assertIsNone(done.dashboard_url)
        self.assertEqual(self.parameters("prod-triggers")["DashboardUrl"], "no")
        self.assertIsNone(self.deploy(subnets=None).dashboard_url)
        self.assertTrue(self.deploy(subnets=None, given_triggers={"dashboard_url": "yes"}).dashboard_url)

    def test_settings_come_before_code(self):
        self.deploy()
        self.world.functions_there["monitor-s"]["configuration"]["Role"] = "arn:aws:iam::111122223333:role/other"
        self.world.calls.clear()
        self.deploy(subnets=None)
        self.assertEqual(self.steps()[1:3], ["UpdateFunctionConfiguration monitor-s", "update monitor-s"])
        [told] = self.world.told("UpdateFunctionConfiguration")
        self.assertEqual(set(told), {"FunctionName", "Role"})

    def test_settings_that_lambda_cannot_apply_are_told_with_its_reason(self):
        self.deploy()
        self.world.after_a_change = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "the subnet has no free address"}
        with self.assertRaisesRegex(Failed, "monitor-s could not be made ready: the subnet has no free address"):
            self.deploy(subnets=["subnet-b"])
        self.world.after_a_change = {}
        self.deploy(subnets=["subnet-a"])
        self.assertEqual(self.world.functions_there["monitor-s"]["live"], 2)

    def test_other_subnets_are_applied(self):
        self.deploy(subnets=["subnet-a"])
        self.deploy(subnets=["subnet-b"], given={"route_tables": "rtb-b"})
        self.assertEqual(self.world.functions_there["monitor-s"]["configuration"]["VpcConfig"]["SubnetIds"], ["subnet-b"])

    def test_what_an_interrupted_deployment_left_is_done_by_the_next(self):
        with mock.patch.object(self.cargo, "create", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.deploy()
        self.assertIn("monitor-s", self.told.under_way)
        self.deploy()
        self.assertEqual(self.world.functions_there["controller-asg"]["live"], 1)
        self.assertIn("prod-triggers", self.world.stacks)

    def test_a_role_that_is_too_young_is_tried_again(self):
        self.cargo.failures = ["The role defined for the function cannot be assumed by Lambda."] * 2
        self.deploy()
        self.assertEqual(self.cargo.ran[:3], [("create", "monitor-s")] * 3)
        self.cargo.failures = ["something else"]
        self.world.functions_there.clear()
        with self.assertRaisesRegex(Failed, "something else"):
            self.deploy()

    def test_versions_are_marked_with_their_commit(self):
        with mock.patch.object(deploy, "commit", return_value="abc"):
            self.deploy()
        with mock.patch.object(deploy, "commit", return_value="def-dirty"):
            self.deploy(subnets=None)
        tags = self.world.functions_there["monitor-s"]["tags"]
        self.assertEqual((tags["muster:version-1"], tags["muster:version-2"]), ("abc", "def-dirty"))

    def test_marks_do_not_outgrow_what_a_function_may_have(self):
        with mock.patch.object(deploy, "commit", return_value="abc"):
            for _ in range(25):
                self.deploy()
        tags = [tag for tag in self.world.functions_there["monitor-s"]["tags"] if "version" in tag]
        self.assertEqual((len(tags), max(tags, key=len)), (20, "muster:version-10"))
        self.assertIn("muster:version-25", tags)


class Parameters(Deploying):
    def test_the_first_deployment_finds_out_the_network(self):
        self.deploy()
        found = self.parameters()
        self.assertEqual((found["Vpc"], found["AgentRange"], found["RouteTables"]), ("vpc-1", "10.0.0.0/16", "rtb-b,rtb-main"))

    def test_what_is_given_is_not_found_out(self):
        self.deploy(given={"agent_range": "10.0.1.0/24", "route_tables": "", "log_days": "7", "agent_port": "9000"})
        found = self.parameters()
        self.assertEqual([found[key] for key in ("AgentRange", "RouteTables", "LogDays", "AgentPort")], ["10.0.1.0/24", "", "7", "9000"])
        environment = self.world.functions_there["controller-asg"]["configuration"]["Environment"]["Variables"]
        self.assertEqual(environment["MUSTER_AGENT_PORT"], "9000")

    def test_what_is_not_given_keeps_its_value(self):
        self.deploy(given={"log_days": "7", "alarm_email": "a@example.com"})
        self.deploy(subnets=None, given={"alarm_email": "b@example.com"})
        found = self.parameters()
        self.assertEqual((found["LogDays"], found["AlarmEmail"], found["AgentRange"]), ("7", "b@example.com", "10.0.0.0/16"))
        told = {one["ParameterKey"]: one for one in self.world.told("UpdateStack")[0]["Parameters"]}
        self.assertTrue(told["LogDays"]["UsePreviousValue"])

    def test_a_parameter_that_the_template_has_lost_keeps_nothing(self):
        self.deploy()
        self.world.stacks["prod-foundation"]["Parameters"].append({"ParameterKey": "Gone", "ParameterValue": "x"})
        self.deploy(subnets=None, given={"log_days": "7"})
        self.assertNotIn("Gone", {one["ParameterKey"] for one in self.world.told("UpdateStack")[0]["Parameters"]})

    def test_parameters_are_read_from_templates_as_yaml_has_them(self):
        for file in TEMPLATES:
            self.assertEqual(parameter_names((INFRA / file).read_text()), set(Template(INFRA / file).raw["Parameters"]), file)

    def test_functions_of_other_names(self):
        self.deploy(given={"monitor_function": "m-2", "controller_function": "c-2", "dashboard_function": "d-2"})
        self.assertEqual(sorted(self.world.functions_there), ["c-2", "d-2", "m-2"])
        self.deploy(subnets=None)
        self.assertEqual(self.world.functions_there["m-2"]["live"], 2)

    def test_an_endpoint_that_leads_to_dynamodb_is_used(self):
        endpoint = {"VpcId": "vpc-1", "ServiceName": "com.amazonaws.eu-central-1.dynamodb", "State": "available", "RouteTableIds": ["rtb-main", "rtb-b"]}
        self.world.endpoints = [endpoint]
        self.deploy()
        self.assertEqual(self.parameters()["RouteTables"], "")

    def test_only_tables_without_a_way_get_one(self):
        service = "com.amazonaws.eu-central-1.dynamodb"
        self.world.endpoints = [
            {"VpcId": "vpc-1", "ServiceName": service, "State": "available", "RouteTableIds": ["rtb-main"]},
            {"VpcId": "vpc-1", "ServiceName": service, "State": "deleting", "RouteTableIds": ["rtb-b"]},
            {"VpcId": "vpc-2", "ServiceName": service, "State": "available", "RouteTableIds": ["rtb-b"]},
            {"VpcId": "vpc-1", "ServiceName": "com.amazonaws.eu-central-1.s3", "State": "available", "RouteTableIds": ["rtb-b"]},
        ]
        self.deploy()
        self.assertEqual(self.parameters()["RouteTables"], "rtb-b")

    def test_new_subnets_without_a_way_are_told(self):
        self.deploy(subnets=["subnet-a"])
        self.deploy(subnets=["subnet-a", "subnet-b"])
        self.assertTrue(any("--route-tables rtb-main,rtb-b" in line for line in self.told.lines), self.told.lines)
        self.assertEqual(self.parameters()["RouteTables"], "rtb-main")

    def test_the_range_that_holds_the_subnets(self):
        self.world.vpcs["vpc-1"] = ["192.168.0.0/24", "10.0.0.0/16"]
        self.assertEqual(network.look(self.world, ["subnet-a"]).agent_range(), "10.0.0.0/16")


class Refusals(Deploying):
    def refused(self, pattern: str, changed: bool = False, **how):
        with self.assertRaisesRegex(Refused, pattern):
            self.deploy(**how)
        self.assertEqual(bool(self.steps()), changed)

    def test_the_first_deployment_without_subnets(self):
        self.refused("--subnets must be given", subnets=None)

    def test_subnets_that_are_none_or_of_two_vpcs(self):
        self.refused("--subnets: .*subnet-x", subnets=["subnet-x"])
        self.world.subnets["subnet-c"] = ("vpc-2", "10.9.0.0/24")
        self.refused("--subnets must be of one VPC.*vpc-1, vpc-2", subnets=["subnet-a", "subnet-c"])

    def test_subnets_of_another_vpc_than_the_stacks(self):
        self.refused("--subnets are of vpc-1, and the stack's VPC is vpc-9", given={"vpc": "vpc-9"})

    def test_subnets_that_no_one_range_holds(self):
        self.world.vpcs["vpc-1"] = ["10.0.1.0/24", "10.0.2.0/24"]
        self.refused("--agent-range must be given.*10.0.1.0/24, 10.0.2.0/24")

    def test_bootstraps_that_are_missing_or_for_nothing_that_lambda_has(self):
        file = self.folder / "controller-asg/bootstrap"
        file.write_text("#!/bin/sh\n")
        self.refused("controller-asg/bootstrap is no Linux binary")
        file.unlink()
        self.refused("there is no .*controller-asg/bootstrap")

    def test_another_architecture(self):
        self.deploy()
        self.world.calls.clear()
        (self.folder / "controller-asg/bootstrap").write_bytes(b"\x7fELF" + bytes(14) + b"\xb7\x00")
        self.refused("controller-asg is deployed for x86_64.*arm64")

    def test_functions_of_another_stack(self):
        self.deploy(stack="other")
        self.world.calls.clear()
        self.refused("--monitor-function: there is a function monitor-s already, and it is of the stack other")
        self.refused("--controller-function: .*controller-asg already", given={"monitor_function": "m-2"})
        self.refused("--dashboard-function: .*dashboard already", given={"monitor_function": "m-2", "controller_function": "c-2"})
        self.world.functions_there["monitor-s"]["tags"].clear()
        self.refused("with muster:stack=prod it would be taken over")

    def test_a_group_without_the_command_that_makes_it(self):
        self.muster.unlink()
        self.refused("`make build-muster` makes it", group="web")

    def test_a_variable_that_nobody_reads(self):
        self.refused("--env MUSTER_STAK", added={"MUSTER_STAK": "x"})

    def test_tables_that_an_earlier_stack_has_left(self):
        self.world.tables = {"prod-control"}
        self.refused("prod-control are there already(.|\n)*aws dynamodb delete-table --table-name prod-control")


class Leftovers(Deploying):
    def present(self, status: str, then: str | None = None):
        self.deploy()
        self.world.stacks["prod-foundation"] |= {"StackStatus": status} | ({"then": then} if then else {})
        self.world.calls.clear()

    def test_a_failed_creation_tells_why(self):
        event = {"ResourceStatus": "CREATE_FAILED", "ResourceType": "AWS::EC2::VPCEndpoint", "LogicalResourceId": "DynamoDbEndpoint"}
        event |= {"StackId": "s", "EventId": "e", "StackName": "prod-foundation", "Timestamp": 0}
        cancelled = {**event, "LogicalResourceId": "ControlTable", "ResourceStatusReason": "Resource creation cancelled"}
        self.world.ends["prod-foundation"] = ("ROLLBACK_COMPLETE", [cancelled, {**event, "ResourceStatusReason": "route table is taken"}])
        with self.assertRaises(Failed) as failed:
            self.deploy()
        self.assertIn("DynamoDbEndpoint (AWS::EC2::VPCEndpoint): route table is taken", str(failed.exception))
        self.assertNotIn("cancelled", str(failed.exception))

    def test_what_a_failed_creation_left_is_deleted_and_made_again(self):
        for status in ("ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"):
            self.present(status)
            self.world.tables.clear()
            self.world.functions_there.clear()
            self.deploy()
            self.assertEqual(self.steps()[:2], ["DeleteStack prod-foundation", "CreateStack prod-foundation"], status)

    def test_somebody_elses_change_is_waited_for(self):
        self.present("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
        self.deploy(subnets=None)
        self.assertEqual(self.steps()[0], "UpdateStack prod-foundation")
        self.present("DELETE_IN_PROGRESS", "DELETE_COMPLETE")
        self.world.tables.clear()
        self.deploy()
        self.assertEqual(self.steps()[0], "CreateStack prod-foundation")

    def test_what_only_an_operator_can_free_is_told(self):
        self.present("UPDATE_ROLLBACK_FAILED")
        with self.assertRaisesRegex(Refused, "continue-update-rollback"):
            self.deploy(subnets=None)

    def test_a_wait_is_bounded(self):
        self.present("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        with mock.patch("time.monotonic", side_effect=range(0, 10_000_000, 600)), self.assertRaisesRegex(Failed, "still UPDATE_IN_PROGRESS"):
            self.deploy(subnets=None)
