"""Broken templates are found out, and the file and the name are told: each case breaks a copy in one place."""

import shutil
import tempfile
import unittest
from pathlib import Path

from rules import problems
from test_templates import FUNCTIONS, INFRA, linted

# File, what is taken out, what is put there, and what must be told.
TEMPLATES = [
    ("triggers.yaml", "      BisectBatchOnFunctionError: true\n", "", "triggers.yaml: Doorbell: BisectBatchOnFunctionError"),
    ("triggers.yaml", "      MaximumRetryAttempts: 5\n", "", "triggers.yaml: Doorbell: MaximumRetryAttempts"),
    ("triggers.yaml", "MaximumRecordAgeInSeconds: 300", "MaximumRecordAgeInSeconds: 3000", "triggers.yaml: Doorbell: MaximumRecordAge"),
    ("triggers.yaml", "[ReportBatchItemFailures]", "[]", "triggers.yaml: Doorbell: FunctionResponseTypes"),
    ("triggers.yaml", "-FailureQueue\"}\n", "-AlarmTopic\"}\n", "triggers.yaml: Doorbell: DestinationConfig"),
    ("triggers.yaml", '"prefix": "S#"', '"prefix": ""', "triggers.yaml: Doorbell: FilterCriteria"),
    ("triggers.yaml", "BatchSize: 10", "BatchSize: 100", "triggers.yaml: Doorbell: BatchSize"),
    ("triggers.yaml", "      MaximumRetryAttempts: 0\n", "      MaximumRetryAttempts: 2\n", "triggers.yaml: MonitorInvocations:"),
    ("triggers.yaml", "      MaximumEventAgeInSeconds: 60\n", "", "triggers.yaml: MonitorInvocations: MaximumEventAge"),
    ("triggers.yaml", "      Qualifier: live\n", "      Qualifier: $LATEST\n", "triggers.yaml: MonitorInvocations: it is not about the alias"),
    ("triggers.yaml", "rate(5 minutes)", "rate(1 hour)", "triggers.yaml: Reconcile: its expression"),
    ("triggers.yaml", '{"reconcile": "all"}', '{"reconcile": "web"}', "triggers.yaml: Reconcile: its Input"),
    ("triggers.yaml", "MetricName: IteratorAge", "MetricName: Duration", "triggers.yaml: alarms: none watches IteratorAge"),
    ("triggers.yaml", "-SweepsStream", "-SweepsSteam", "prod-SweepsSteam is imported and nobody exports it"),
    ("triggers.yaml", "AuthType: AWS_IAM", "AuthType: NONE", "triggers.yaml: DashboardFunctionUrl: AuthType is 'NONE'"),
    ("triggers.yaml", "InvokeMode: BUFFERED", "InvokeMode: RESPONSE_STREAM", "triggers.yaml: DashboardFunctionUrl: InvokeMode"),
    ("triggers.yaml", "      Qualifier: live\n      AuthType", "      AuthType", "triggers.yaml: DashboardFunctionUrl: Qualifier"),
    ("triggers.yaml", "      InvokeMode: BUFFERED\n", "      InvokeMode: BUFFERED\n      Cors: {AllowOrigins: ['*']}\n", "triggers.yaml: DashboardFunctionUrl: Cors"),
    ("triggers.yaml", "-DashboardFunction\"}\n      Qualifier", "-ControllerFunction\"}\n      Qualifier", "triggers.yaml: DashboardFunctionUrl: TargetFunctionArn"),
    ("triggers.yaml", "    Condition: HasDashboardUrl\n    Properties", "    Properties", "triggers.yaml: DashboardFunctionUrl: it is there although"),
    ("triggers.yaml", "Type: AWS::Lambda::Url", "Type: AWS::Lambda::Uri", "triggers.yaml: function URLs: Dashboard has one"),
    ("triggers.yaml", "\nOutputs:\n  DashboardUrl:", "\nOutputs:\n  Url:", "triggers.yaml: Outputs: nobody is told"),
    ("triggers.yaml", "Type: AWS::Lambda::Url", "Type: AWS::Lambda::Permission", "there must be no AWS::Lambda::Permission"),
    ("group.yaml", "          HttpTokens: required\n", "          HttpTokens: optional\n", "group.yaml: LaunchTemplate: it does not require IMDSv2"),
    ("group.yaml", "MetricName: Decisions", "MetricName: Decision", "group.yaml: NoDecisionAlarm: no function emits Decision"),
    ("group.yaml", "TreatMissingData: breaching", "TreatMissingData: ignore", "group.yaml: NoDecisionAlarm:"),
    ("group.yaml", '{"group": "${Group}"}', '{"groups": ["${Group}"]}', "group.yaml: Sweep: its Input"),
    ("group.yaml", "/instance/", "/", "group.yaml: InstanceRole: ControllerASG may give"),
    ("group.yaml", "guarded by the security group alone", "safe", "group.yaml: it does not say"),
    ("foundation.yaml", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "foundation.yaml: ControlTable: it has no point-in"),
    ("foundation.yaml", "      DeletionProtectionEnabled: true\n", "", "foundation.yaml: ControlTable: it has no deletion protection"),
    ("foundation.yaml", "    DeletionPolicy: Retain\n", "", "foundation.yaml: ControlTable: its DeletionPolicy"),
    ("foundation.yaml", "      SSESpecification: {SSEEnabled: true}\n", "", "foundation.yaml: ControlTable: it is not encrypted"),
    ("foundation.yaml", "      StreamSpecification: {StreamViewType: KEYS_ONLY}\n", "", "foundation.yaml: SweepsTable: its stream"),
    ("foundation.yaml", "StreamViewType: KEYS_ONLY", "StreamViewType: NEW_IMAGE", "foundation.yaml: SweepsTable: its stream"),
    ("foundation.yaml", "      RetentionInDays: !Ref LogDays\n", "", "foundation.yaml: log groups: the log of monitor-s"),
    ("foundation.yaml", "${DashboardFunction}\"\n      RetentionInDays: !Ref LogDays\n", "${DashboardFunction}\"\n", "foundation.yaml: log groups: the log of dashboard"),
    ("foundation.yaml", "SourceSecurityGroupId: !GetAtt MonitorSecurityGroup.GroupId", "CidrIp: 10.0.0.0/8", "foundation.yaml: AgentSecurityGroup:"),
    ("foundation.yaml", "    Default: 7717\n", "    Default: 7718\n", "foundation.yaml: AgentPort:"),
    ("image.yaml", "NoNewPrivileges=yes", "NoNewPrivileges=no", "image.yaml: Agent: its unit is not monitor-c.service"),
    ("image.yaml", "sha256sum --check --strict", "cat", "image.yaml: Agent: it installs whatever"),
    ("monitor-c.service", "DynamicUser=yes\n", "", "monitor-c.service: DynamicUser=yes"),
    ("functions.json", '"MUSTER_STACK": "${Stack}"\n', "", "functions.json: monitor-s: MUSTER_STACK is not set"),
    ("functions.json", '"MUSTER_WEBHOOK_SECRET"', '"MUSTER_WEBHOOK_SECRETS"', "functions.json: controller-asg: MUSTER_WEBHOOK_SECRETS is set"),
    ("functions.json", '"190"', '"180"', "functions.json: controller-asg: MUSTER_LEASE_SECONDS is 180"),
    ("functions.json", '"timeout_seconds": 120', '"timeout_seconds": 130', "functions.json: controller-asg: MUSTER_LEASE_SECONDS is 190"),
    ("functions.json", '"timeout_seconds": 180', '"timeout_seconds": 150', "functions.json: monitor-s: timeout_seconds"),
    ("functions.json", '"memory_mb": 512,', '"memory_mb": 512, "security_group": "${MonitorSecurityGroup}",', "functions.json: dashboard: MonitorS is in the VPC"),
    ("functions.json", '"dashboard": {', '"dashboards": {', "functions.json: it is about"),
    ("functions.json", "${AgentPort}", "${AgentsPort}", "functions.json: controller-asg: ${AgentsPort} is no output"),
]
POLICIES = [
    ("foundation.yaml", "Action: [dynamodb:GetItem, dynamodb:UpdateItem]", "Action: [dynamodb:GetItem]", "foundation.yaml: MonitorRole: monitor-s needs dynamodb:UpdateItem"),
    ("foundation.yaml", "Action: [dynamodb:GetItem, dynamodb:Query]\n", "Action: [dynamodb:GetItem, dynamodb:Query, dynamodb:Scan]\n", "foundation.yaml: ControllerRole: controller-asg does not need dynamodb:Scan"),
    ("foundation.yaml", "parameter/muster/*/policy", "parameter/*", "foundation.yaml: ControllerRole: controller-asg does not need ssm:GetParameter on parameter/*"),
    ("foundation.yaml", "Resource: !GetAtt ActivityTable.Arn", 'Resource: "*"', "foundation.yaml: ControllerRole.WriteActivities: dynamodb:PutItem is allowed on *"),
    ("foundation.yaml", '                Condition:\n                  "Null": {"lambda:SourceFunctionArn": "true"}\n', "", "foundation.yaml: MonitorRole.LambdaReachesTheVpc: ec2:CreateNetworkInterface changes EC2 on * without"),
    ("foundation.yaml", "Action: ec2:TerminateInstances", "Action: ec2:Terminate*", "foundation.yaml: ControllerRole.TerminateOurs: ec2:Terminate* is more than one"),
    ("foundation.yaml", "Principal: {Service: lambda.amazonaws.com}", "Principal: {AWS: !Ref AWS::AccountId}", "foundation.yaml: MonitorRole: others than lambda"),
    ("foundation.yaml", "Action: [ssm:GetParameter, ssm:PutParameter]", "Action: [ssm:GetParameter]", "foundation.yaml: DashboardRole: dashboard needs ssm:PutParameter"),
    ("foundation.yaml", "Action: [ec2:CreateTags, ec2:DeleteTags]", "Action: [ec2:CreateTags, ec2:DeleteTags, ec2:TerminateInstances]", "foundation.yaml: DashboardRole: dashboard does not need ec2:TerminateInstances"),
    ("foundation.yaml", "[!GetAtt ControlTable.Arn, !GetAtt SweepsTable.Arn]", "!GetAtt ControlTable.Arn", "foundation.yaml: DashboardRole: dashboard needs dynamodb:Query on table/prod-sweeps"),
    ("foundation.yaml", '                  "Null": {"aws:TagKeys": "false"}\n', "", "foundation.yaml: DashboardRole.MarkInstances: a call without aws:TagKeys would pass"),
    ("dashboard-policy.json", "lambda:InvokeFunctionUrl", "lambda:*", "dashboard-policy.json: viewer.CallTheUrl: lambda:* is more than one"),
    ("deployer-policy.json", '"ec2:DescribeVpcs"', '"ec2:CreateVpc"', "deployer-policy.json: deployer.Look: ec2:CreateVpc is allowed on *"),
]
# A source under functions/, and what its change must lead to.
SOURCES = [
    ("aws/src/fleet/mod.rs", ".reads.describe_launch_templates()", ".reads.describe_launch_template_versions()", "fleet::fleet::default_version calls .describe_launch_template_versions()"),
    ("aws/src/fleet/mod.rs", "self.changes.terminate_instances()", "self.changes.stop_instances()", "calls .stop_instances()"),
    ("aws/src/tables/query.rs", "self.client.get_item()", "self.client.batch_get_item()", "calls .batch_get_item()"),
    ("aws/src/tables/sweeps.rs", "self.query(table, &partition(group)).scan_index_forward", "self.query(&self.names.activity, &partition(group)).scan_index_forward", "store.latest() is about ['activity', 'sweeps']"),
    ("aws/src/tables/mod.rs", "    client: Client,", "    other: Client,", "an SDK's client is held as other"),
    ("control/src/sweep.rs", "store.roster(", "store.read(", "foundation.yaml: MonitorRole: monitor-s needs dynamodb:Query on table/prod-control"),
    ("control/src/sweep.rs", "store.roster(", "store.members(", "functions/monitor-s: it calls store.members()"),
    ("monitor-s/src/main.rs", "environment.stack();", "environment.agent_port();", "functions.json: monitor-s: MUSTER_AGENT_PORT is not set"),
    ("dashboard/src/main.rs", "environment.stack();", "environment.agent_port();", "functions.json: dashboard: MUSTER_AGENT_PORT is not set"),
    ("web/src/steer/marks.rs", "fleet.mark(", "fleet.terminate(", "foundation.yaml: DashboardRole: dashboard needs ec2:TerminateInstances on instance/*"),
    ("web/src/steer/policy.rs", "policies.put(", "policies.delete(", "foundation.yaml: DashboardRole: dashboard needs ssm:DeleteParameter"),
    ("web/src/read/groups.rs", "store.groups(", "store.forget(", "foundation.yaml: DashboardRole: dashboard needs dynamodb:DeleteItem on table/prod-control"),
    ("controller-asg/src/told.rs", "Metric::BreakerOpen", "Metric::Actual", "group.yaml: BreakerAlarm: no function emits BreakerOpen"),
    ("aws/src/tables/schema.rs", "name: activity, rings: false, expires: false", "name: activity, rings: false, expires: true", "foundation.yaml: ActivityTable: its expiry"),
]


class Broken(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.infra = Path(folder.name) / "infra"
        shutil.copytree(INFRA, self.infra, ignore=shutil.ignore_patterns("tests", "__pycache__"))

    def told(self, told: str, found: list[str]):
        text = "\n".join(found)
        self.assertTrue(any(one in text for one in told.split("|")), f"{told!r} is not told:\n{text}")

    def broken(self, cases: list[tuple]):
        for file, old, new, told in cases:
            with self.subTest(file=file, taken_out=old):
                path = self.infra / file
                sound = path.read_text()
                self.assertIn(old, sound, "the case is out of date")
                path.write_text(sound.replace(old, new, 1))
                found = problems(self.infra, FUNCTIONS)
                path.write_text(sound)
                self.told(told, found)

    def test_a_copy_is_sound(self):
        self.assertEqual(problems(self.infra, FUNCTIONS), [])

    def test_broken_templates(self):
        self.broken(TEMPLATES)

    def test_broken_policies(self):
        self.broken(POLICIES)

    def test_changed_sources(self):
        for number, (file, old, new, told) in enumerate(SOURCES):
            with self.subTest(file=file, taken_out=old):
                # A folder of its own: a folder of sources is read once.
                root = self.infra.parent / str(number)
                for crate in ("aws", "control", "controller-asg", "dashboard", "lambda", "monitor-s", "web"):
                    shutil.copytree(FUNCTIONS / crate / "src", root / "functions" / crate / "src")
                (root / "agent/src").mkdir(parents=True)
                shutil.copy(FUNCTIONS.parent / "agent/src/config.rs", root / "agent/src")
                path = root / "functions" / file
                sound = path.read_text()
                self.assertIn(old, sound, "the case is out of date")
                path.write_text(sound.replace(old, new, 1))
                self.told(told, problems(self.infra, root / "functions"))

    def test_what_cannot_be_read_is_told_by_its_file(self):
        for file, text in (("group.yaml", "Resources: ["), ("functions.json", "{"), ("deployer-policy.json", "{]"), ("dashboard-policy.json", "")):
            with self.subTest(file=file):
                path = self.infra / file
                sound = path.read_text()
                path.write_text(text)
                found = problems(self.infra, FUNCTIONS)
                path.write_text(sound)
                self.told(f"{file}: it is not", found)

    def test_cfn_lint_names_the_file_and_the_property(self):
        path = self.infra / "triggers.yaml"
        path.write_text(path.read_text().replace("BatchSize", "BatchSise"))
        told = linted(self.infra, (path.name,))
        self.assertIn("triggers.yaml", told)
        self.assertIn("BatchSise", told)
