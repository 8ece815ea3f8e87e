"""Calls that must stay forbidden, and those without which nothing works, by evaluating the policies as IAM would."""

import unittest

from iam import ALLOWED, Call, decide
from rules import STACK, Stack
from test_templates import INFRA

WHERE = "eu-central-1:111122223333"
EC2 = f"arn:aws:ec2:{WHERE}"
INSTANCE = f"{EC2}:instance/i-0123456789abcdef0"
TEMPLATE = f"{EC2}:launch-template/lt-0123456789abcdef0"
IN_TEMPLATE = {"ec2:LaunchTemplate": TEMPLATE}
NAMED_BY_TEMPLATE = {**IN_TEMPLATE, "ec2:IsLaunchTemplateResource": True}
IN_VPC = {**IN_TEMPLATE, "ec2:Vpc": f"{EC2}:vpc/vpc-1"}
# What Lambda puts into every call that a function's own code makes.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
BY_CODE = {"lambda:SourceFunctionArn": f"arn:aws:lambda:{WHERE}:function:monitor-s"}
OUR_TAGS = {
    "aws:RequestTag/muster:stack": STACK,
    "aws:RequestTag/muster:group": "web",
    "aws:RequestTag/muster:intent": "7-1",
}
AT_LAUNCH = {"ec2:CreateAction": "RunInstances"}


def table(name: str) -> str:
    return f"arn:aws:dynamodb:{WHERE}:table/{name}"


def parameter(name: str) -> str:
    return f"arn:aws:ssm:{WHERE}:parameter{name}"


def role(name: str) -> str:
    return f"arn:aws:iam::111122223333:role/{name}"


MONITOR_FORBIDDEN = {
    "end an instance of its stack": Call("ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/muster:stack": STACK, **BY_CODE}),
    "launch": Call("ec2:RunInstances", INSTANCE, {**OUR_TAGS, **IN_TEMPLATE, **BY_CODE}),
    "list instances": Call("ec2:DescribeInstances", "*", BY_CODE),
    "make a network interface by its own code": Call("ec2:CreateNetworkInterface", f"{EC2}:network-interface/*", BY_CODE),
    "delete a network interface by its own code": Call("ec2:DeleteNetworkInterface", f"{EC2}:network-interface/eni-1", BY_CODE),
    "take a network interface off an instance": Call("ec2:DetachNetworkInterface", INSTANCE, BY_CODE),
    "read a policy": Call("ssm:GetParameter", parameter("/muster/web/policy"), BY_CODE),
    "write a policy": Call("ssm:PutParameter", parameter("/muster/web/policy"), BY_CODE),
    "write HEAD": Call("dynamodb:PutItem", table("prod-control"), BY_CODE),
    "delete a member": Call("dynamodb:DeleteItem", table("prod-control"), BY_CODE),
    "delete a sweep": Call("dynamodb:DeleteItem", table("prod-sweeps"), BY_CODE),
    "change a sweep": Call("dynamodb:UpdateItem", table("prod-sweeps"), BY_CODE),
    "write an activity": Call("dynamodb:PutItem", table("prod-activity"), BY_CODE),
    "read another stack's sweeps": Call("dynamodb:Query", table("test-sweeps"), BY_CODE),
    "read a table by scanning it": Call("dynamodb:Scan", table("prod-sweeps"), BY_CODE),
    "give a role": Call("iam:PassRole", role("muster/prod/instance/x"), {"iam:PassedToService": "ec2.amazonaws.com", **BY_CODE}),
    "wake the controller": Call("lambda:InvokeFunction", f"arn:aws:lambda:{WHERE}:function:controller-asg:live", BY_CODE),
    "write another function's log": Call(
        "logs:PutLogEvents", f"arn:aws:logs:{WHERE}:log-group:/aws/lambda/controller-asg:log-stream:a", BY_CODE
    ),
}

CONTROLLER_FORBIDDEN = {
    "end an instance without tags": Call("ec2:TerminateInstances", INSTANCE),
    "end an instance of another stack": Call("ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/muster:stack": "test"}),
    "end an instance whose tag only begins like ours": Call(
        "ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/muster:stack": f"{STACK}-2"}
    ),
    "end an instance of another region": Call(
        "ec2:TerminateInstances", INSTANCE.replace("eu-central-1", "us-east-1"), {"aws:ResourceTag/muster:stack": STACK}
    ),
    "stop an instance": Call("ec2:StopInstances", INSTANCE, {"aws:ResourceTag/muster:stack": STACK}),
    "launch without tags": Call("ec2:RunInstances", INSTANCE, IN_TEMPLATE),
    "launch for another stack": Call(
        "ec2:RunInstances", INSTANCE, {**OUR_TAGS, **IN_TEMPLATE, "aws:RequestTag/muster:stack": "test"}
    ),
    "launch without a group": Call(
        "ec2:RunInstances", INSTANCE, {**OUR_TAGS, **IN_TEMPLATE, "aws:RequestTag/muster:group": ""}
    ),
    "launch without an intent": Call(
        "ec2:RunInstances", INSTANCE, {key: value for key, value in {**OUR_TAGS, **IN_TEMPLATE}.items() if "intent" not in key}
    ),
    "launch without a template": Call("ec2:RunInstances", INSTANCE, OUR_TAGS),
    "launch from another stack's template": Call("ec2:RunInstances", TEMPLATE, {"aws:ResourceTag/muster:stack": "test"}),
    "launch from a template without tags": Call("ec2:RunInstances", TEMPLATE),
    "launch another image than the template's": Call(
        "ec2:RunInstances", "arn:aws:ec2:eu-central-1::image/ami-1", {**IN_TEMPLATE, "ec2:IsLaunchTemplateResource": False}
    ),
    "launch into another security group than the template's": Call(
        "ec2:RunInstances", f"{EC2}:security-group/sg-1", {**IN_TEMPLATE, "ec2:IsLaunchTemplateResource": False}
    ),
    "launch into another VPC": Call("ec2:RunInstances", f"{EC2}:subnet/subnet-9", {**IN_TEMPLATE, "ec2:Vpc": f"{EC2}:vpc/vpc-9"}),
    "tag an instance that exists": Call("ec2:CreateTags", INSTANCE, OUR_TAGS),
    "tag a new instance as another stack's": Call(
        "ec2:CreateTags", INSTANCE, {**AT_LAUNCH, "aws:RequestTag/muster:stack": "test"}
    ),
    "tag what another call makes": Call("ec2:CreateTags", INSTANCE, {**OUR_TAGS, "ec2:CreateAction": "CreateFleet"}),
    "take a tag off": Call("ec2:DeleteTags", INSTANCE, {"aws:ResourceTag/muster:stack": STACK}),
    "change a launch template": Call("ec2:ModifyLaunchTemplate", TEMPLATE, {"aws:ResourceTag/muster:stack": STACK}),
    "make a version of a launch template": Call("ec2:CreateLaunchTemplateVersion", TEMPLATE, {"aws:ResourceTag/muster:stack": STACK}),
    "open a security group": Call("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1"),
    "give an instance a function's role": Call(
        "iam:PassRole", role("muster/prod/ControllerRole"), {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "give an instance an administrator's role": Call("iam:PassRole", role("admin"), {"iam:PassedToService": "ec2.amazonaws.com"}),
    "give an instance another stack's role": Call(
        "iam:PassRole", role("muster/test/instance/x"), {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "give a function an instance's role": Call(
        "iam:PassRole", role("muster/prod/instance/x"), {"iam:PassedToService": "lambda.amazonaws.com"}
    ),
    "read another stack's groups": Call("dynamodb:Query", table("test-control")),
    "read another stack's HEAD": Call("dynamodb:GetItem", table("test-control")),
    "write another stack's activities": Call("dynamodb:PutItem", table("test-activity")),
    "write a sweep": Call("dynamodb:PutItem", table("prod-sweeps")),
    "delete an activity": Call("dynamodb:DeleteItem", table("prod-activity")),
    "change an activity": Call("dynamodb:UpdateItem", table("prod-activity")),
    "delete a table": Call("dynamodb:DeleteTable", table("prod-control")),
    "take a table's protection off": Call("dynamodb:UpdateTable", table("prod-control")),
    "write a policy": Call("ssm:PutParameter", parameter("/muster/web/policy")),
    "read a parameter that is no policy": Call("ssm:GetParameter", parameter("/muster/web/secret")),
    "read another's parameter": Call("ssm:GetParameter", parameter("/billing/web/policy")),
    "read the failure queue": Call("sqs:ReceiveMessage", f"arn:aws:sqs:{WHERE}:prod-lost-doorbells"),
}

OURS = {"aws:ResourceTag/muster:stack": STACK}


def keys(*names: str) -> dict:
    """A call about the tags of these keys, on an instance of ours."""
    return {**OURS, "aws:TagKeys": [f"muster:{name}" if ":" not in name else name for name in names]}


DASHBOARD_FORBIDDEN = {
    "launch with our tags": Call("ec2:RunInstances", INSTANCE, {**OUR_TAGS, **IN_TEMPLATE}),
    "launch from our template": Call("ec2:RunInstances", TEMPLATE, OURS),
    "end an instance of its stack": Call("ec2:TerminateInstances", INSTANCE, OURS),
    "stop an instance of its stack": Call("ec2:StopInstances", INSTANCE, OURS),
    "restart an instance of its stack": Call("ec2:RebootInstances", INSTANCE, OURS),
    "take all tags off, by naming none": Call("ec2:DeleteTags", INSTANCE, OURS),
    "put no tag on, by naming none": Call("ec2:CreateTags", INSTANCE, OURS),
    "disown an instance": Call("ec2:DeleteTags", INSTANCE, keys("stack")),
    "take an instance out of its group": Call("ec2:DeleteTags", INSTANCE, keys("group")),
    "take the intent off": Call("ec2:DeleteTags", INSTANCE, keys("intent")),
    "take the intent off beside a mark": Call("ec2:DeleteTags", INSTANCE, keys("drain", "intent")),
    "put an instance into another group": Call("ec2:CreateTags", INSTANCE, keys("group")),
    "give an instance to another stack": Call("ec2:CreateTags", INSTANCE, keys("stack")),
    "put another tag on beside a mark": Call("ec2:CreateTags", INSTANCE, keys("protected", "Name:")),
    "put a tag on whose name only begins like a mark's": Call("ec2:CreateTags", INSTANCE, keys("drained")),
    "mark an instance of another stack": Call("ec2:CreateTags", INSTANCE, {**keys("protected"), "aws:ResourceTag/muster:stack": "test"}),
    "mark an instance without tags": Call("ec2:CreateTags", INSTANCE, {"aws:TagKeys": ["muster:drain"]}),
    "take a mark off another stack's instance": Call("ec2:DeleteTags", INSTANCE, {**keys("drain"), "aws:ResourceTag/muster:stack": f"{STACK}-2"}),
    "make an instance ours by a mark": Call(
        "ec2:CreateTags", INSTANCE, {"aws:TagKeys": ["muster:stack", "muster:drain"], "aws:RequestTag/muster:stack": STACK}
    ),
    "mark a volume": Call("ec2:CreateTags", f"{EC2}:volume/vol-1", keys("drain")),
    "mark a launch template": Call("ec2:CreateTags", TEMPLATE, keys("protected")),
    "mark an instance of another region": Call("ec2:CreateTags", INSTANCE.replace("eu-central-1", "us-east-1"), keys("protected")),
    "change an instance": Call("ec2:ModifyInstanceAttribute", INSTANCE, OURS),
    "change a launch template": Call("ec2:ModifyLaunchTemplate", TEMPLATE, OURS),
    "open the agents' port": Call("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1", OURS),
    "reach an instance": Call("ssm:StartSession", INSTANCE, OURS),
    "write HEAD": Call("dynamodb:PutItem", table("prod-control")),
    "change HEAD": Call("dynamodb:UpdateItem", table("prod-control")),
    "delete a member": Call("dynamodb:DeleteItem", table("prod-control")),
    "write many items": Call("dynamodb:BatchWriteItem", table("prod-control")),
    "write by PartiQL": Call("dynamodb:PartiQLUpdate", table("prod-control")),
    "write a sweep": Call("dynamodb:PutItem", table("prod-sweeps")),
    "delete a sweep": Call("dynamodb:DeleteItem", table("prod-sweeps")),
    "write an activity": Call("dynamodb:PutItem", table("prod-activity")),
    "delete an activity": Call("dynamodb:DeleteItem", table("prod-activity")),
    "read a table by scanning it": Call("dynamodb:Scan", table("prod-activity")),
    "read another stack's groups": Call("dynamodb:Query", table("test-control")),
    "read the stream": Call("dynamodb:GetRecords", f"{table('prod-sweeps')}/stream/2026-11-22T00:00:00.000"),
    "delete a table": Call("dynamodb:DeleteTable", table("prod-control")),
    "delete a policy": Call("ssm:DeleteParameter", parameter("/muster/web/policy")),
    "read a parameter that is no policy": Call("ssm:GetParameter", parameter("/muster/web/secret")),
    "read another's parameter": Call("ssm:GetParameter", parameter("/billing/web/policy")),
    "write another's parameter": Call("ssm:PutParameter", parameter("/billing/key")),
    "read parameters by their path": Call("ssm:GetParametersByPath", parameter("/muster")),
    "wake the controller": Call("lambda:InvokeFunction", f"arn:aws:lambda:{WHERE}:function:controller-asg:live"),
    "make a URL for everybody": Call("lambda:CreateFunctionUrlConfig", f"arn:aws:lambda:{WHERE}:function:dashboard"),
    "let others call it": Call("lambda:AddPermission", f"arn:aws:lambda:{WHERE}:function:dashboard"),
    "give a role": Call("iam:PassRole", role("muster/prod/instance/x"), {"iam:PassedToService": "ec2.amazonaws.com"}),
    "take another role": Call("sts:AssumeRole", role("muster/prod/ControllerRole")),
    "write another function's log": Call("logs:PutLogEvents", f"arn:aws:logs:{WHERE}:log-group:/aws/lambda/controller-asg:log-stream:a"),
    "read its own log": Call("logs:FilterLogEvents", f"arn:aws:logs:{WHERE}:log-group:/aws/lambda/dashboard:log-stream:a"),
}

DASHBOARD_ALLOWED = {
    "read HEAD": Call("dynamodb:GetItem", table("prod-control")),
    "list groups": Call("dynamodb:Query", table("prod-control")),
    "read sweeps": Call("dynamodb:Query", table("prod-sweeps")),
    "read a sweep's base": Call("dynamodb:GetItem", table("prod-sweeps")),
    "read activities": Call("dynamodb:Query", table("prod-activity")),
    "read a policy": Call("ssm:GetParameter", parameter("/muster/web/policy")),
    "write a policy": Call("ssm:PutParameter", parameter("/muster/web/policy")),
    "see whose an instance is": Call("ec2:DescribeInstances", "*"),
    "protect an instance": Call("ec2:CreateTags", INSTANCE, keys("protected")),
    "have an instance drained": Call("ec2:CreateTags", INSTANCE, keys("drain")),
    "give an instance free again": Call("ec2:DeleteTags", INSTANCE, keys("protected")),
    "keep an instance after all": Call("ec2:DeleteTags", INSTANCE, keys("drain")),
    "log": Call("logs:PutLogEvents", f"arn:aws:logs:{WHERE}:log-group:/aws/lambda/dashboard:log-stream:a"),
}

DASHBOARD = "arn:aws:lambda:REGION:ACCOUNT:function:dashboard"
BY_URL = {"lambda:InvokedViaFunctionUrl": True}
VIEWER_FORBIDDEN = {
    "call the function around its URL": Call("lambda:InvokeFunction", f"{DASHBOARD}:live"),
    "say itself that a call is by the URL": Call("lambda:InvokeFunction", f"{DASHBOARD}:live", {"lambda:InvokedViaFunctionUrl": False}),
    "call another version": Call("lambda:InvokeFunction", f"{DASHBOARD}:3", BY_URL),
    "call what is being deployed": Call("lambda:InvokeFunction", DASHBOARD, BY_URL),
    "wake the controller": Call("lambda:InvokeFunction", f"{DASHBOARD.replace('dashboard', 'controller-asg')}:live", BY_URL),
    "make the URL everybody's": Call("lambda:UpdateFunctionUrlConfig", f"{DASHBOARD}:live", {"lambda:FunctionUrlAuthType": "NONE"}),
}
VIEWER_ALLOWED = {
    "call the URL": Call("lambda:InvokeFunctionUrl", f"{DASHBOARD}:live", {"lambda:FunctionUrlAuthType": "AWS_IAM"}),
    "call the function by it": Call("lambda:InvokeFunction", f"{DASHBOARD}:live", BY_URL),
}

# As Lambda's own service calls: without BY_CODE.
MONITOR_ALLOWED = {
    "read HEAD": Call("dynamodb:GetItem", table("prod-control"), BY_CODE),
    "write a sweep": Call("dynamodb:PutItem", table("prod-sweeps"), BY_CODE),
    "be put into the VPC by Lambda": Call("ec2:CreateNetworkInterface", f"{EC2}:network-interface/*"),
    "log": Call("logs:PutLogEvents", f"arn:aws:logs:{WHERE}:log-group:/aws/lambda/monitor-s:log-stream:a"),
}
CONTROLLER_ALLOWED = {
    "launch with tags": Call("ec2:RunInstances", INSTANCE, {**OUR_TAGS, **IN_TEMPLATE}),
    "launch from our template": Call("ec2:RunInstances", TEMPLATE, {"aws:ResourceTag/muster:stack": STACK}),
    "launch the template's image": Call("ec2:RunInstances", "arn:aws:ec2:eu-central-1::image/ami-1", NAMED_BY_TEMPLATE),
    "launch into the template's security group": Call("ec2:RunInstances", f"{EC2}:security-group/sg-1", NAMED_BY_TEMPLATE),
    "launch into a subnet of the VPC": Call("ec2:RunInstances", f"{EC2}:subnet/subnet-1", IN_VPC),
    "launch with an interface": Call("ec2:RunInstances", f"{EC2}:network-interface/eni-1", IN_VPC),
    "launch with a volume": Call("ec2:RunInstances", f"{EC2}:volume/vol-1", IN_TEMPLATE),
    "tag what it launches": Call("ec2:CreateTags", INSTANCE, {**OUR_TAGS, **AT_LAUNCH}),
    "give an instance the group's role": Call(
        "iam:PassRole", role("muster/prod/instance/x"), {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "end an instance of its stack": Call("ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/muster:stack": STACK}),
    "read the policy": Call("ssm:GetParameter", parameter("/muster/web/policy")),
    "claim": Call("dynamodb:PutItem", table("prod-control")),
    "write an activity": Call("dynamodb:PutItem", table("prod-activity")),
}

DEPLOYER_FORBIDDEN = {
    "end an instance": Call("ec2:TerminateInstances", INSTANCE, {"aws:ResourceTag/muster:stack": "STACK"}),
    "launch": Call("ec2:RunInstances", INSTANCE, OUR_TAGS),
    "delete a table": Call("dynamodb:DeleteTable", "arn:aws:dynamodb:REGION:ACCOUNT:table/STACK-control"),
    "write a group's state": Call("dynamodb:PutItem", "arn:aws:dynamodb:REGION:ACCOUNT:table/STACK-control"),
    "change a group's state": Call("dynamodb:UpdateItem", "arn:aws:dynamodb:REGION:ACCOUNT:table/STACK-control"),
    "delete another stack's group": Call("dynamodb:DeleteItem", "arn:aws:dynamodb:REGION:ACCOUNT:table/another-control"),
    "delete a sweep": Call("dynamodb:DeleteItem", "arn:aws:dynamodb:REGION:ACCOUNT:table/STACK-sweeps"),
    "delete an activity": Call("dynamodb:DeleteItem", "arn:aws:dynamodb:REGION:ACCOUNT:table/STACK-activity"),
    "delete another parameter": Call("ssm:DeleteParameter", "arn:aws:ssm:REGION:ACCOUNT:parameter/billing/key"),
    "delete a foreign stack": Call("cloudformation:DeleteStack", "arn:aws:cloudformation:REGION:ACCOUNT:stack/billing/1"),
    "change a foreign security group": Call(
        "ec2:AuthorizeSecurityGroupIngress", "arn:aws:ec2:REGION:ACCOUNT:security-group/sg-1", {"aws:ResourceTag/muster:stack": "x"}
    ),
    "tag an instance": Call("ec2:CreateTags", "arn:aws:ec2:REGION:ACCOUNT:instance/i-1", {"aws:RequestTag/muster:stack": "STACK"}),
    "make a role elsewhere": Call("iam:CreateRole", "arn:aws:iam::ACCOUNT:role/admin"),
    "attach the administrator's policy": Call(
        "iam:AttachRolePolicy", "arn:aws:iam::ACCOUNT:role/muster/STACK/x", {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}
    ),
    "attach a managed policy": Call("iam:AttachRolePolicy", "arn:aws:iam::ACCOUNT:role/muster/STACK/x"),
    "write another parameter": Call("ssm:PutParameter", "arn:aws:ssm:REGION:ACCOUNT:parameter/billing/key"),
    "change another function": Call("lambda:UpdateFunctionCode", "arn:aws:lambda:REGION:ACCOUNT:function:billing"),
    "make a URL for everybody": Call("lambda:CreateFunctionUrlConfig", f"{DASHBOARD}:live", {"lambda:FunctionUrlAuthType": "NONE"}),
    "make a URL for it knows not whom": Call("lambda:CreateFunctionUrlConfig", f"{DASHBOARD}:live"),
    "make the URL everybody's": Call("lambda:UpdateFunctionUrlConfig", f"{DASHBOARD}:live", {"lambda:FunctionUrlAuthType": "NONE"}),
    "make a URL for another function": Call(
        "lambda:CreateFunctionUrlConfig", "arn:aws:lambda:REGION:ACCOUNT:function:controller-asg:live", {"lambda:FunctionUrlAuthType": "AWS_IAM"}
    ),
    "let others call a function": Call("lambda:AddPermission", f"{DASHBOARD}:live"),
    "call the URL": Call("lambda:InvokeFunctionUrl", f"{DASHBOARD}:live", {"lambda:FunctionUrlAuthType": "AWS_IAM"}),
}


class Forbidden(unittest.TestCase):
    def setUp(self):
        stack = Stack(INFRA)
        self.monitor, self.controller = stack.role("MonitorRole"), stack.role("ControllerRole")
        self.dashboard, self.viewer = stack.role("DashboardRole"), [stack.viewer]
        self.deployer = [stack.deployer]

    def forbidden(self, policies: list[dict], calls: dict[str, Call]):
        may = [name for name, call in calls.items() if decide(policies, call) == ALLOWED]
        self.assertEqual(may, [])

    def allowed(self, policies: list[dict], calls: dict[str, Call]):
        may_not = [name for name, call in calls.items() if decide(policies, call) != ALLOWED]
        self.assertEqual(may_not, [])

    def test_monitor_s_may_not(self):
        self.forbidden(self.monitor, MONITOR_FORBIDDEN)

    def test_controller_asg_may_not(self):
        self.forbidden(self.controller, CONTROLLER_FORBIDDEN)

    def test_dashboard_may_not(self):
        self.forbidden(self.dashboard, DASHBOARD_FORBIDDEN)

    def test_who_looks_at_the_dashboard_may_not(self):
        self.forbidden(self.viewer, VIEWER_FORBIDDEN)

    def test_the_deployer_may_not(self):
        self.forbidden(self.deployer, DEPLOYER_FORBIDDEN)

    def test_monitor_s_may(self):
        self.allowed(self.monitor, MONITOR_ALLOWED)

    def test_controller_asg_may(self):
        self.allowed(self.controller, CONTROLLER_ALLOWED)

    def test_dashboard_may(self):
        self.allowed(self.dashboard, DASHBOARD_ALLOWED)

    def test_who_looks_at_the_dashboard_may(self):
        self.allowed(self.viewer, VIEWER_ALLOWED)

    def test_a_policy_that_is_attached_later_gives_the_monitors_code_no_network_interface(self):
        wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
        code = [name for name in MONITOR_FORBIDDEN if "network interface" in name]
        self.assertEqual(len(code), 3)
        self.forbidden([*self.monitor, wide], {name: MONITOR_FORBIDDEN[name] for name in code})
