"""deployer-policy.json against what the commands call: each call that they make in the world must be allowed, on its own resource."""

import json
import re

import calls
from iam import ALLOWED, Call, decide
from operate import cargo, destroy, logs, rollback
from operate.muster import Muster
from rules import Stack
from test_deploy import Deploying
from test_templates import FUNCTIONS, INFRA
from world import ACCOUNT, REGION

STACK = "STACK"
# What cargo-lambda calls, from its source (crates/cargo-lambda-deploy/src/functions.rs of 1.9).
CARGO_LAMBDA = {
    "lambda:CreateAlias", "lambda:CreateFunction", "lambda:GetAlias", "lambda:GetFunction", "lambda:GetFunctionConfiguration",
    "lambda:PublishVersion", "lambda:TagResource", "lambda:UpdateAlias", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
}


def arn(resource: str) -> str:
    """An ARN of `service:what`, as it is in the policy: with words in the place of region and account."""
    if resource == "*":
        return resource
    service, what = resource.split(":", 1)
    return f"arn:aws:{service}:REGION:ACCOUNT:{what}"


def resource(service: str, operation: str, told: dict) -> str:
    """What a call is about, as IAM sees it."""
    match service:
        case "cloudformation":
            return f"cloudformation:stack/{told['StackName']}/1" if "StackName" in told else "*"
        case "dynamodb":
            return f"dynamodb:table/{told['TableName']}"
        case "lambda":
            if "Resource" in told:
                return "lambda:" + told["Resource"].split(":", 5)[5]
            qualifier = told.get("Qualifier") or (told.get("Name") if "Alias" in operation else None)
            return f"lambda:function:{told['FunctionName']}" + (f":{qualifier}" if qualifier else "")
        case "logs" if "logGroupName" in told:
            return f"logs:log-group:{told['logGroupName']}:*"
        case "ssm":
            return f"ssm:parameter{told['Name']}"
    return "*"


class Deployer(Deploying):
    def setUp(self):
        super().setUp()
        self.policy = [Stack(INFRA).deployer]

    def may(self, action: str, on: str, **context) -> bool:
        return decide(self.policy, Call(action, arn(on), context)) == ALLOWED

    def test_every_call_of_every_command_is_allowed(self):
        self.deploy(stack=STACK)
        self.world.functions_there["monitor-s"]["configuration"]["Timeout"] = 3
        for _ in range(22):
            self.deploy(stack=STACK, subnets=["subnet-a"])
        self.world.stacks[f"{STACK}-foundation"]["StackStatus"] = "UPDATE_ROLLBACK_FAILED"
        with self.assertRaises(Exception):
            self.deploy(stack=STACK)
        self.world.stacks[f"{STACK}-foundation"]["StackStatus"] = "UPDATE_COMPLETE"
        rollback.rollback(STACK, None, None, self.world, self.told)
        self.world.log_groups = {"/aws/lambda/monitor-s": []}
        list(logs.events(self.world, {"monitor-s": "monitor-s"}, 0))
        (self.folder / "answer").write_text(json.dumps({"groups": [{"group": "web", "records": {"members": 0}}]}))
        destroy.destroy(STACK, False, self.world, Muster(STACK, self.world.environment()), self.told)

        made = {(f"{service}:{operation}", resource(service, operation, told)) for service, operation, told in self.world.calls if service != "cargo"}
        # The account's answers are of its own number and region.
        made = {(action, on.replace(REGION, "REGION").replace(ACCOUNT, "ACCOUNT")) for action, on in made}
        self.assertGreater(len({action for action, _ in made}), 20)
        self.assertEqual(sorted(call for call in made if not self.may(*call)), [])

    def test_what_is_called_for_us_is_allowed(self):
        for action in sorted(CARGO_LAMBDA):
            for function in cargo.FUNCTIONS:
                self.assertTrue(self.may(action, f"lambda:function:{function}"), action)
        group = calls.needed_by_groups(FUNCTIONS, STACK)
        self.assertGreater(len(group), 15)
        for action, on in sorted(group):
            on = on.replace("*", "web") if on != "*" else on
            on = {"stack/STACK-web": "stack/STACK-web/1"}.get(on, on)
            on = on if on == "*" else f"{action.split(':')[0]}:{on}"
            self.assertTrue(self.may(action, on), f"{action} on {on}")
        role = "arn:aws:iam::ACCOUNT:role/muster/STACK/MonitorRole"
        passed = Call("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
        self.assertEqual(decide(self.policy, passed), ALLOWED)

    def test_the_dashboards_url_is_covered_as_long_as_it_is_signed(self):
        for action in ("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig", "GetFunctionUrlConfig", "DeleteFunctionUrlConfig"):
            for on in ("lambda:function:dashboard", "lambda:function:dashboard:live"):
                self.assertTrue(self.may(f"lambda:{action}", on, **{"lambda:FunctionUrlAuthType": "AWS_IAM"}), action)

    def test_image_yaml_is_covered(self):
        text = (INFRA / "image.yaml").read_text()
        kinds = set(re.findall(r"Type: AWS::ImageBuilder::(\w+)", text))
        self.assertEqual(len(kinds), 5)
        for kind in kinds:
            for verb in ("Create", "Get", "Delete"):
                self.assertTrue(self.may(f"imagebuilder:{verb}{kind}", f"imagebuilder:x/{STACK}-web/1.0.0"), f"{verb}{kind}")
                self.assertFalse(self.may(f"imagebuilder:{verb}{kind}", "imagebuilder:x/another-web"), f"{verb}{kind}")
        for managed in re.findall(r":iam::aws:policy/(\w+)", text):
            attach = Call("iam:AttachRolePolicy", "arn:aws:iam::ACCOUNT:role/muster/STACK/BuildRole", {"iam:PolicyARN": f"arn:aws:iam::aws:policy/{managed}"})
            self.assertEqual(decide(self.policy, attach), ALLOWED, managed)

    def test_it_fits_into_a_role(self):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: white space is not counted.
        text = (INFRA / "deployer-policy.json").read_text()
        for word, longest in (("STACK", "a" * 32), ("REGION", "ap-southeast-1"), ("ACCOUNT", ACCOUNT)):
            text = text.replace(word, longest)
        self.assertLess(len(re.sub(r"\s", "", text)), 10_240)
