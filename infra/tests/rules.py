"""What must hold of the templates. `problems` tells what does not, each with its file and its name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import calls
from iam import listed
from template import PSEUDO, Template, Unresolved

STACK = "prod"
GROUP = "web"
# Where agents are called, and what guards them, is said wherever somebody may open their port.
GUARD = "guarded by the security group alone"
TEMPLATES = ("foundation.yaml", "triggers.yaml", "group.yaml", "image.yaml")
# An emulator of ours refuses a whole template for these; policies belong to the operator.
UNWANTED = {
    "AWS::Lambda::Permission": "a function is called by those whose own policies say so, and by nobody else",
    "AWS::EC2::SecurityGroupEgress": "security groups have their rules inline",
    "AWS::EC2::SecurityGroupIngress": "security groups have their rules inline",
    "AWS::SSM::Parameter": "the next change of the template would overwrite the operator's edit of the policy",
}
FILTER = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "S#"}]}}}}
# What is called at its URL, by somebody who waits for the answer, and never asynchronously.
SYNCHRONOUS = {"dashboard"}
# What a lease has beyond the time-out, at least (functions/lambda/src/settings.rs).
LEASE_BEYOND_SECONDS = 60
# What MonitorS has beyond its longest life: one sweep of the largest shard, and the store.
SWEEP_BEYOND_SECONDS = 25
EC2_READS = ("Describe", "Get", "List", "Search")
HARDENED = (
    "DynamicUser=yes",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=@system-service",
    "Restart=always",
)


class Stack:
    """The templates of one stack with one group, resolved, each with what the ones before it export."""

    def __init__(self, infra: Path):
        self.infra = infra
        one = {"Stack": STACK}
        network = {"Vpc": "vpc-1", "AgentRange": "10.0.0.0/16", "RouteTables": "rtb-1", "DynamoDbPrefixList": "pl-1"}
        self.foundation = Template(infra / "foundation.yaml", {**one, **network})
        exports = self.foundation.exported()
        self.triggers = Template(infra / "triggers.yaml", one, exports)
        self.group = Template(infra / "group.yaml", {**one, "Group": GROUP, "Image": "ami-1"}, exports)
        self.image = Template(infra / "image.yaml", {**one, "Group": GROUP}, exports)
        self.templates = [self.foundation, self.triggers, self.group, self.image]
        self.functions = _json(infra / "functions.json")
        self.deployer = _json(infra / "deployer-policy.json")
        self.viewer = _json(infra / "dashboard-policy.json")

    def role(self, name: str) -> list[dict]:
        """The policies of a role of the foundation."""
        return [policy["PolicyDocument"] for policy in self.foundation.resources("AWS::IAM::Role")[name]["Policies"]]

    def policies(self) -> Iterator[tuple[str, str, dict]]:
        """Every identity policy there is: file, name, document."""
        for template in self.templates:
            for name, role in template.resources("AWS::IAM::Role").items():
                for policy in role.get("Policies", []):
                    yield template.file, name, policy["PolicyDocument"]
        yield "deployer-policy.json", "deployer", self.deployer
        yield "dashboard-policy.json", "viewer", self.viewer


def problems(infra: Path, functions: Path) -> list[str]:
    """Everything that is wrong. What cannot be read is a problem, too."""
    try:
        stack = Stack(infra)
    except Unresolved as error:
        return [str(error)]
    found = []
    for rule in RULES:
        try:
            found += [f"{name}: {what}" for name, what in rule(stack, functions)]
        except (Unresolved, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            found.append(f"infra, the rule on {rule.__name__.replace('_', ' ')}: it cannot be judged: {error!r}")
    return found + calls.slips(functions)


def resources(stack: Stack, _: Path):
    for template in stack.templates:
        if "Transform" in template.raw:
            yield template.file, "it has a Transform: plain CloudFormation alone"
        for name, body in template.raw["Resources"].items():
            kind = body["Type"]
            if kind in UNWANTED:
                yield f"{template.file}: {name}", f"there must be no {kind}: {UNWANTED[kind]}"
            if kind.startswith("AWS::ImageBuilder::") and template is not stack.image:
                yield f"{template.file}: {name}", f"{kind} belongs into image.yaml"
            template.resolve(body.get("Properties", {}))
        template.outputs()


def tables(stack: Stack, functions: Path):
    made = stack.foundation.resources("AWS::DynamoDB::Table")
    defined = calls.tables(functions)
    logical = {body["TableName"]: name for name, body in made.items()}
    if set(logical) != {f"{STACK}-{name}" for name in defined}:
        yield "foundation.yaml: tables", f"{sorted(logical)} are not those of functions/aws/src/tables/schema.rs"
        return
    for name, definition in defined.items():
        logical_id = logical[f"{STACK}-{name}"]
        table, where = made[logical_id], f"foundation.yaml: {logical_id}"
        raw = stack.foundation.raw["Resources"][logical_id]
        keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
        attributes = sorted((one["AttributeName"], one["AttributeType"]) for one in table["AttributeDefinitions"])
        expected = {
            "its keys are not pk and sk": keys == [("pk", "HASH"), ("sk", "RANGE")],
            "its attributes are not pk and sk": attributes == [("pk", "S"), ("sk", "S")],
            "it is not on demand": table.get("BillingMode") == "PAY_PER_REQUEST",
            "it has no point-in-time recovery": table.get("PointInTimeRecoverySpecification") == {"PointInTimeRecoveryEnabled": True},
            "it has no deletion protection": table.get("DeletionProtectionEnabled") is True,
            "it is not encrypted": table.get("SSESpecification") == {"SSEEnabled": True},
            "its DeletionPolicy is not Retain": raw.get("DeletionPolicy") == "Retain",
            "its UpdateReplacePolicy is not Retain": raw.get("UpdateReplacePolicy") == "Retain",
            "it has an index": not {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} & set(table),
            "its stream is not as in schema.rs": table.get("StreamSpecification")
            == ({"StreamViewType": "KEYS_ONLY"} if definition["rings"] else None),
            "its expiry is not as in schema.rs": table.get("TimeToLiveSpecification")
            == ({"AttributeName": "expires_at", "Enabled": True} if definition["expires"] else None),
        }
        yield from ((where, what) for what, holds in expected.items() if not holds)


def network(stack: Stack, _: Path):
    groups = stack.foundation.resources("AWS::EC2::SecurityGroup")
    port = stack.foundation.parameters["AgentPort"]
    agents, monitor = groups["AgentSecurityGroup"], groups["MonitorSecurityGroup"]
    ingress = [{key: rule[key] for key in rule if key != "Description"} for rule in agents.get("SecurityGroupIngress", [])]
    monitor_alone = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "SourceSecurityGroupId": "MonitorSecurityGroup.GroupId"}
    if ingress != [monitor_alone]:
        yield "foundation.yaml: AgentSecurityGroup", "the agents' port is not open to MonitorS alone"
    egress = [rule.get("CidrIp") for rule in agents.get("SecurityGroupEgress", [])]
    if egress != ["127.0.0.1/32"]:
        yield "foundation.yaml: AgentSecurityGroup", "it lets agents call somebody"
    if monitor.get("SecurityGroupIngress"):
        yield "foundation.yaml: MonitorSecurityGroup", "it lets somebody call MonitorS"
    ways = {(rule["FromPort"], rule.get("CidrIp"), rule.get("DestinationPrefixListId")) for rule in monitor["SecurityGroupEgress"]}
    if ways != {(port, "10.0.0.0/16", None), (443, None, "pl-1")}:
        yield "foundation.yaml: MonitorSecurityGroup", "it lets MonitorS call others than agents and DynamoDB"
    endpoints = list(stack.foundation.resources("AWS::EC2::VPCEndpoint").values())
    if [(e["VpcEndpointType"], e["ServiceName"]) for e in endpoints] != [("Gateway", f"com.amazonaws.{PSEUDO['AWS::Region']}.dynamodb")]:
        yield "foundation.yaml: DynamoDbEndpoint", "it is not DynamoDB's gateway endpoint"


def logs_and_queue(stack: Stack, _: Path):
    kept = {group["LogGroupName"]: group.get("RetentionInDays") for group in stack.foundation.resources("AWS::Logs::LogGroup").values()}
    for function in stack.functions:
        if not kept.get(f"/aws/lambda/{function}"):
            yield "foundation.yaml: log groups", f"the log of {function} has no retention"
    for name, queue in stack.foundation.resources("AWS::SQS::Queue").items():
        if queue.get("MessageRetentionPeriod", 0) < 86_400 * 4 or not queue.get("SqsManagedSseEnabled"):
            yield f"foundation.yaml: {name}", "it keeps messages for less than four days, or unencrypted"


def invocations(stack: Stack, _: Path):
    configs = stack.triggers.resources("AWS::Lambda::EventInvokeConfig")
    limited = {c["FunctionName"] for c in configs.values()}
    for function in set(stack.functions) - limited - SYNCHRONOUS:
        yield "triggers.yaml: event-invoke configurations", f"{function} has none"
    for name, config in configs.items():
        if config.get("MaximumRetryAttempts") != 0:
            yield f"triggers.yaml: {name}", "Lambda repeats failed invocations: MaximumRetryAttempts must be 0"
        if config.get("MaximumEventAgeInSeconds") != 60:
            yield f"triggers.yaml: {name}", "MaximumEventAgeInSeconds must be 60"
        if config.get("Qualifier") != "live":
            yield f"triggers.yaml: {name}", "it is not about the alias live"


def url(stack: Stack, _: Path):
    urls = stack.triggers.resources("AWS::Lambda::Url")
    if list(urls) != ["DashboardFunctionUrl"]:
        yield "triggers.yaml: function URLs", f"Dashboard has one, and nobody else: there are {sorted(urls)}"
        return
    where, made = "triggers.yaml: DashboardFunctionUrl", urls["DashboardFunctionUrl"]
    expected = {
        "TargetFunctionArn": stack.foundation.exported()[f"{STACK}-DashboardFunction"],
        "Qualifier": "live",
        "AuthType": "AWS_IAM",
        "InvokeMode": "BUFFERED",
        "Cors": None,
    }
    for key, value in expected.items():
        if made.get(key) != value:
            yield where, f"{key} is {made.get(key)!r}, not {value!r}"
    if "DashboardUrl" not in stack.triggers.outputs():
        yield "triggers.yaml: Outputs", "nobody is told where Dashboard is"
    without = Template(stack.infra / "triggers.yaml", {"Stack": STACK, "DashboardUrl": "no"}, stack.foundation.exported())
    if without.resources("AWS::Lambda::Url") or without.outputs():
        yield where, 'it is there although DashboardUrl is "no"'


def doorbell(stack: Stack, _: Path):
    [(name, mapping)] = stack.triggers.resources("AWS::Lambda::EventSourceMapping").items()
    where = f"triggers.yaml: {name}"
    exports = stack.foundation.exported()
    patterns = [json.loads(one["Pattern"]) for one in mapping.get("FilterCriteria", {}).get("Filters", [])]
    expected = {
        "EventSourceArn": exports[f"{STACK}-SweepsStream"],
        "FunctionName": alias("controller-asg"),
        "BatchSize": 10,
        "MaximumRetryAttempts": 5,
        "MaximumRecordAgeInSeconds": 300,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "DestinationConfig": {"OnFailure": {"Destination": exports[f"{STACK}-FailureQueue"]}},
    }
    for key, value in expected.items():
        if mapping.get(key) != value:
            yield where, f"{key} is {mapping.get(key)!r}, not {value!r}"
    if patterns != [FILTER]:
        yield where, "FilterCriteria lets through other than new sweeps"


def schedules(stack: Stack, _: Path):
    expected = {
        "triggers.yaml": ("Reconcile", "controller-asg", {"reconcile": "all"}, "rate(5 minutes)"),
        "group.yaml": ("Sweep", "monitor-s", {"group": GROUP}, "rate(1 minute)"),
    }
    for template in (stack.triggers, stack.group):
        wanted, function, event, expression = expected[template.file]
        [(name, schedule)] = template.resources("AWS::Scheduler::Schedule").items()
        where, target = f"{template.file}: {name}", schedule["Target"]
        if name != wanted or target["Arn"] != alias(function):
            yield where, f"it does not invoke {function} by its alias live"
        if json.loads(target.get("Input", "null")) != event:
            yield where, f"its Input is not {json.dumps(event)}"
        if schedule["ScheduleExpression"] != expression:
            yield where, f"its expression is not {expression} by default"
        if target.get("RetryPolicy") != {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}:
            yield where, "the Scheduler repeats what failed: RetryPolicy"
        if schedule.get("FlexibleTimeWindow") != {"Mode": "OFF"}:
            yield where, "its FlexibleTimeWindow is not OFF"


def alarms(stack: Stack, functions: Path):
    emitted = calls.metrics(functions)
    topic = stack.foundation.exported()[f"{STACK}-AlarmTopic"]
    watched = {template.file: set() for template in stack.templates}
    for template in (stack.triggers, stack.group):
        for name, alarm in template.resources("AWS::CloudWatch::Alarm").items():
            where = f"{template.file}: {name}"
            watched[template.file].add(alarm["MetricName"])
            if alarm.get("AlarmActions") != [topic]:
                yield where, "it tells nobody"
            if "TreatMissingData" not in alarm:
                yield where, "it does not say what missing data mean"
            if alarm["Namespace"] == "Muster":
                if alarm["MetricName"] not in emitted:
                    yield where, f"no function emits {alarm['MetricName']}"
                dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
                if dimensions != {"Stack": STACK, "Group": GROUP}:
                    yield where, "the metric's dimensions are Stack and Group"
            if alarm["MetricName"] == "Decisions":
                if (alarm["EvaluationPeriods"], alarm["TreatMissingData"]) != (3, "breaching"):
                    yield where, "it must ring after three periods without a decision"
    wanted = {
        "triggers.yaml": {"IteratorAge", "ApproximateNumberOfMessagesVisible", "Errors"},
        "group.yaml": {"Decisions", "SweepAge", "Refusals", "BreakerOpen", "ManyOrphans"},
    }
    for file, metrics in wanted.items():
        for metric in sorted(metrics - watched[file]):
            yield f"{file}: alarms", f"none watches {metric}"


def launch_template(stack: Stack, _: Path):
    [(name, template)] = stack.group.resources("AWS::EC2::LaunchTemplate").items()
    where, data = f"group.yaml: {name}", template["LaunchTemplateData"]
    if data.get("MetadataOptions", {}).get("HttpTokens") != "required":
        yield where, "it does not require IMDSv2"
    if data.get("SecurityGroupIds") != ["AgentSecurityGroup.GroupId"]:
        yield where, "its instances are not in the agents' security group"
    if data.get("IamInstanceProfile") != {"Arn": "InstanceProfile.Arn"}:
        yield where, "its instances have another profile"
    kinds = [spec["ResourceType"] for spec in data.get("TagSpecifications", [])]
    if "instance" in kinds:
        yield where, "instances are tagged by their launch (L7), not by the template"
    ours = {"muster:stack": STACK, "muster:group": GROUP}
    tags = {tag["Key"]: tag["Value"] for spec in template.get("TagSpecifications", []) for tag in spec["Tags"]}
    if tags != ours:
        yield where, f"its own tags are {tags}: ControllerASG may launch from templates of the stack alone"
    for role_name, role in stack.group.resources("AWS::IAM::Role").items():
        if role.get("Policies") or role.get("ManagedPolicyArns"):
            yield f"group.yaml: {role_name}", "an instance has rights that the agent does not need"
        if role.get("Path") != f"/muster/{STACK}/instance/":
            yield f"group.yaml: {role_name}", "ControllerASG may give instances no role of another path"


def settings(stack: Stack, functions: Path):
    read, numbers = calls.variables(functions), calls.defaults(functions)
    outputs = set(stack.foundation.outputs())
    if set(stack.functions) != set(read):
        yield "functions.json", f"it is about {sorted(stack.functions)}, and the functions are {sorted(read)}"
        return
    for function, settings in stack.functions.items():
        where = f"functions.json: {function}"
        given = settings["environment"]
        for name in sorted(read[function] - set(given)):
            yield where, f"{name} is not set, and the code reads it"
        for name in sorted(set(given) - read[function]):
            yield where, f"{name} is set, and the code does not read it"
        for text in [value for value in (*settings.values(), *given.values()) if isinstance(value, str)]:
            for named in re.findall(r"\$\{([^}]*)\}", text):
                if not named.startswith("env:") and named not in outputs:
                    yield where, f"{text} is no output of foundation.yaml"
        lease = given.get("MUSTER_LEASE_SECONDS")
        if lease and int(lease) <= settings["timeout_seconds"] + LEASE_BEYOND_SECONDS:
            yield where, f"MUSTER_LEASE_SECONDS is {lease}: it must be longer than the time-out and {LEASE_BEYOND_SECONDS} seconds"
        if ("security_group" in settings) != (function == "monitor-s"):
            yield where, "MonitorS is in the VPC, the others outside"
    if stack.functions["monitor-s"]["timeout_seconds"] < numbers["longest_seconds"] + SWEEP_BEYOND_SECONDS:
        yield "functions.json: monitor-s", f"timeout_seconds cuts sweeps off: an invocation lasts {numbers['longest_seconds']} s and a sweep"
    port = stack.foundation.parameters["AgentPort"]
    if not port == numbers["agent_port"] == numbers["agent_listen"]:
        yield "foundation.yaml: AgentPort", f"it is {port} by default; the code's are {numbers['agent_port']} and {numbers['agent_listen']}"


def rights(stack: Stack, functions: Path):
    for function, role in (("monitor-s", "MonitorRole"), ("controller-asg", "ControllerRole"), ("dashboard", "DashboardRole")):
        where, granted = f"foundation.yaml: {role}", set()
        for document in stack.role(role):
            for statement in document["Statement"]:
                if statement["Effect"] == "Allow":
                    granted |= {(a, short(r)) for a in listed(statement["Action"]) for r in listed(statement["Resource"])}
        needed = calls.needed(functions, function, STACK)
        for action, resource in sorted(needed - granted):
            yield where, f"{function} needs {action} on {resource}, and may not"
        for action, resource in sorted(granted - needed):
            yield where, f"{function} does not need {action} on {resource}, and may"
    for template in stack.templates:
        for name, role in template.resources("AWS::IAM::Role").items():
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            service = "ec2" if template in (stack.group, stack.image) else "scheduler" if name == "SchedulerRole" else "lambda"
            if trust["Principal"] != {"Service": f"{service}.amazonaws.com"} or trust["Action"] != "sts:AssumeRole":
                yield f"{template.file}: {name}", f"others than {service} may take this role"


def breadth(stack: Stack, _: Path):
    for file, name, document in stack.policies():
        for statement in document["Statement"]:
            where = f"{file}: {name}.{statement.get('Sid')}"
            if "NotAction" in statement or "NotResource" in statement or "Principal" in statement:
                yield where, "it says what is not meant"
                continue
            if statement["Effect"] == "Deny":
                continue
            conditions = statement.get("Condition", {})
            for key in [key for operator, keys in conditions.items() if operator.startswith("ForAllValues:") for key in keys]:
                # It holds of no values at all, too.
                if conditions.get("Null", {}).get(key) != "false":
                    yield where, f"a call without {key} would pass: Null must say that there is one"
            for action in listed(statement["Action"]):
                service, verb = action.split(":") if ":" in action else (action, action)
                if "*" in action:
                    yield where, f"{action} is more than one action"
                changes = not verb.startswith(EC2_READS)
                everything = any(r == "*" for r in listed(statement["Resource"]))
                if service == "ec2" and changes and everything and not statement.get("Condition"):
                    yield where, f"{action} changes EC2 on * without a condition"
                if everything and changes and not statement.get("Condition"):
                    yield where, f"{action} is allowed on *"


def image(stack: Stack, _: Path):
    from yaml import safe_load

    unit = (stack.infra / "monitor-c.service").read_text()
    for line in HARDENED:
        if line not in unit.splitlines():
            yield "monitor-c.service", f"{line} is not in it"
    component = safe_load(stack.image.resources("AWS::ImageBuilder::Component")["Agent"]["Data"])
    steps = {step["name"]: step["inputs"] for phase in component["phases"] for step in phase["steps"]}
    if steps["Unit"][0]["content"] != unit:
        yield "image.yaml: Agent", "its unit is not monitor-c.service"
    if not any("sha256sum --check" in command for command in steps["Install"]["commands"]):
        yield "image.yaml: Agent", "it installs whatever is in the bucket"
    builders = stack.image.resources("AWS::ImageBuilder::InfrastructureConfiguration")["Builders"]
    if builders.get("InstanceMetadataOptions", {}).get("HttpTokens") != "required":
        yield "image.yaml: Builders", "it does not require IMDSv2"


def guard(stack: Stack, _: Path):
    for name in ("foundation.yaml", "group.yaml", "README.md"):
        text = re.sub(r"\s+#?\s*", " ", (stack.infra / name).read_text())
        if GUARD not in text:
            yield name, f"it does not say that the agents' port is {GUARD}"


def _json(path: Path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise Unresolved(f"{path.name}: it is not JSON: {error}") from error


def alias(function: str) -> str:
    return f"arn:aws:lambda:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:function:{function}:live"


def short(resource: str) -> str:
    """An ARN without what is the same in all of ours."""
    return resource.split(":", 5)[5] if resource.startswith("arn:") else resource


RULES = (
    resources,
    tables,
    network,
    logs_and_queue,
    invocations,
    url,
    doorbell,
    schedules,
    alarms,
    launch_template,
    settings,
    rights,
    breadth,
    image,
    guard,
)
