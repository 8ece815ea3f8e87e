"""What the functions call and read, from their sources: each right in a role must have its reason here.

The way is: a function's use cases call ports (`store.claim(`), a port's method in functions/aws calls the SDK (`.put_item()`), and a
call of the SDK needs rights. PORTS says which rights each port's method needs; `slips` compares it with what the sources show, so that
a new call, port or client fails until it is in the tables here, and in a role. A folder of sources is read once.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# What an SDK's method needs. Transactions need what they hold: IAM has no action for the call.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
ACTIONS = {
    "get_item": {"dynamodb:GetItem"},
    "put_item": {"dynamodb:PutItem"},
    "query": {"dynamodb:Query"},
    "update_item": {"dynamodb:UpdateItem"},
    "transact_write_items": set(),
    "describe_instances": {"ec2:DescribeInstances"},
    "describe_instance_status": {"ec2:DescribeInstanceStatus"},
    "describe_launch_templates": {"ec2:DescribeLaunchTemplates"},
    "run_instances": {"ec2:RunInstances"},
    "terminate_instances": {"ec2:TerminateInstances"},
    "create_tags": {"ec2:CreateTags"},
    "delete_tags": {"ec2:DeleteTags"},
    "get_parameter": {"ssm:GetParameter"},
    "put_parameter": {"ssm:PutParameter"},
    "delete_parameter": {"ssm:DeleteParameter"},
    # Without a name it lists every stack of the account, which takes a second right.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
    "describe_stacks": {"cloudformation:DescribeStacks", "cloudformation:ListStacks"},
    "describe_stack_events": {"cloudformation:DescribeStackEvents"},
    "create_stack": {"cloudformation:CreateStack"},
    "update_stack": {"cloudformation:UpdateStack"},
    "delete_stack": {"cloudformation:DeleteStack"},
}
# What a line of a transaction needs.
WRITES = {
    "put": "dynamodb:PutItem",
    "put_if": "dynamodb:PutItem",
    "delete": "dynamodb:DeleteItem",
    "delete_if": "dynamodb:DeleteItem",
    "update_if": "dynamodb:UpdateItem",
    "update_if_it_fits": "dynamodb:UpdateItem",
}
# Where the SDK's clients are held. One that is held elsewhere is a slip.
HANDLES = {"client", "reads", "changes"}
# They make tables for tests and for an emulator, and describe them to an operator who asks the doctor; no function calls them.
NOT_DEPLOYED = {("schema", "create"), ("schema", "create_one"), ("schema", "describe")}

CONTROL, SWEEPS, ACTIVITY = "table/{stack}-control", "table/{stack}-sweeps", "table/{stack}-activity"
ANYTHING = "*"
INSTANCE = "instance/*"
# A launch is a RunInstances on each thing that it makes or uses, CreateTags on what it tags, PassRole of the profile's role.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ExamplePolicies_EC2.html#iam-example-runinstances
LAUNCH = {
    ("ec2:RunInstances", thing)
    for thing in (
        INSTANCE,
        "image/*",
        "key-pair/*",
        "launch-template/*",
        "network-interface/*",
        "security-group/*",
        "subnet/*",
        "volume/*",
    )
} | {
    ("ec2:CreateTags", INSTANCE),
    ("ec2:CreateTags", "volume/*"),
    ("iam:PassRole", "role/muster/{stack}/instance/*"),
}
POLICY = "parameter/muster/*/policy"
GROUP_STACK = "stack/{stack}-*"
FIND = {("cloudformation:DescribeStacks", ANYTHING), ("cloudformation:ListStacks", ANYTHING)}
FOLLOW = FIND | {("cloudformation:DescribeStackEvents", GROUP_STACK)}
LOOK = {("ec2:DescribeInstances", ANYTHING), ("ec2:DescribeInstanceStatus", ANYTHING)}

# What each method of a port needs, as (action, resource).
PORTS = {
    ("store", "head"): {("dynamodb:GetItem", CONTROL)},
    ("store", "read"): {("dynamodb:GetItem", CONTROL), ("dynamodb:Query", CONTROL)},
    ("store", "claim"): {
        ("dynamodb:PutItem", CONTROL),
        ("dynamodb:UpdateItem", CONTROL),
        ("dynamodb:DeleteItem", CONTROL),
        ("dynamodb:PutItem", ACTIVITY),
    },
    ("store", "lease"): {("dynamodb:UpdateItem", CONTROL)},
    ("store", "release"): {("dynamodb:GetItem", CONTROL), ("dynamodb:UpdateItem", CONTROL)},
    ("store", "settle"): {
        ("dynamodb:PutItem", CONTROL),
        ("dynamodb:UpdateItem", CONTROL),
        ("dynamodb:DeleteItem", CONTROL),
        ("dynamodb:PutItem", ACTIVITY),
    },
    ("store", "roster"): {("dynamodb:GetItem", CONTROL)},
    ("store", "policy"): {("dynamodb:GetItem", CONTROL)},
    ("store", "take_slot"): {("dynamodb:UpdateItem", CONTROL)},
    ("store", "append"): {("dynamodb:GetItem", SWEEPS), ("dynamodb:PutItem", SWEEPS), ("dynamodb:Query", SWEEPS)},
    ("store", "latest"): {("dynamodb:GetItem", SWEEPS), ("dynamodb:Query", SWEEPS)},
    ("store", "sweeps_after"): {("dynamodb:Query", SWEEPS)},
    ("store", "sampled_figures"): {("dynamodb:Query", SWEEPS)},
    ("store", "sampled_loads"): {("dynamodb:GetItem", SWEEPS), ("dynamodb:Query", SWEEPS)},
    ("store", "between"): {("dynamodb:Query", ACTIVITY)},
    ("store", "groups"): {("dynamodb:Query", CONTROL)},
    ("store", "intents"): {("dynamodb:Query", CONTROL)},
    ("store", "reject"): {("dynamodb:UpdateItem", CONTROL)},
    ("store", "rejected"): {("dynamodb:GetItem", CONTROL)},
    ("fleet", "list"): LOOK,
    ("fleet", "describe"): LOOK,
    ("fleet", "template_version"): {("ec2:DescribeLaunchTemplates", ANYTHING)},
    ("fleet", "launch"): LAUNCH | {("ec2:DescribeInstances", ANYTHING)},
    ("fleet", "find"): {("ec2:DescribeInstances", ANYTHING)},
    ("fleet", "terminate"): {("ec2:DescribeInstances", ANYTHING), ("ec2:TerminateInstances", INSTANCE)},
    ("fleet", "mark"): {("ec2:DescribeInstances", ANYTHING), ("ec2:CreateTags", INSTANCE), ("ec2:DeleteTags", INSTANCE)},
    ("policies", "fetch"): {("ssm:GetParameter", POLICY)},
    ("policies", "put"): {("ssm:GetParameter", POLICY), ("ssm:PutParameter", POLICY)},
    # The operator's command, with the operator's own rights.
    ("store", "policies"): {("dynamodb:Query", CONTROL)},
    ("store", "forget"): {("dynamodb:GetItem", CONTROL), ("dynamodb:Query", CONTROL), ("dynamodb:DeleteItem", CONTROL)},
    ("policies", "put_first"): {("ssm:PutParameter", POLICY)},
    ("policies", "delete"): {("ssm:DeleteParameter", POLICY)},
    ("stacks", "list"): FIND,
    ("stacks", "find"): FIND,
    ("stacks", "follow"): FOLLOW,
    ("stacks", "apply"): FOLLOW | {("cloudformation:CreateStack", GROUP_STACK), ("cloudformation:UpdateStack", GROUP_STACK)},
    ("stacks", "delete"): FOLLOW | {("cloudformation:DeleteStack", GROUP_STACK)},
}
# Rights that come with another's call and that no line of the source names.
IMPLIED = {("fleet", "launch"): {"ec2:CreateTags", "iam:PassRole"}}
# What an operator does, with rights of his own or by Dashboard, and by no other function: whoever may tag what exists may make anything ours, or
# nobody's.
OPERATORS = {("fleet", "mark")}
BY_OPERATORS = {"dashboard"}
# What the variables are called that hold a port.
HOLDERS = {"store": "store", "tables": "store", "fleet": "fleet", "policies": "policies", "source": "policies", "stacks": "stacks"}
# What a port's adapter has beside the port: they call nobody.
LOCAL = {"clone", "take", "inner", "new", "name", "as_ref"}

# The sources that a function consists of, as far as they may call a port.
SOURCES = {
    "monitor-s": ["monitor-s/src", "control/src/sweep.rs"],
    "controller-asg": [
        "controller-asg/src",
        "control/src/activity.rs",
        "control/src/claim.rs",
        "control/src/execute.rs",
        "control/src/policy.rs",
        "control/src/reconcile.rs",
    ],
    "dashboard": ["dashboard/src", "web/src"],
}
# The operator's command for groups, which whoever deploys may use.
COMMANDS = ["../cli/src/stack/mod.rs", "../cli/src/stack/group"]
# What Lambda itself does with a function's role; no line of the source says it.
LAMBDA = {
    "monitor-s": {
        ("ec2:AssignPrivateIpAddresses", ANYTHING),
        ("ec2:CreateNetworkInterface", ANYTHING),
        ("ec2:DeleteNetworkInterface", ANYTHING),
        ("ec2:DescribeNetworkInterfaces", ANYTHING),
        ("ec2:DescribeSubnets", ANYTHING),
        ("ec2:UnassignPrivateIpAddresses", ANYTHING),
        ("logs:CreateLogStream", "log-group:/aws/lambda/monitor-s:*"),
        ("logs:PutLogEvents", "log-group:/aws/lambda/monitor-s:*"),
    },
    "controller-asg": {
        ("dynamodb:DescribeStream", SWEEPS + "/stream/2026-11-22T00:00:00.000"),
        ("dynamodb:GetRecords", SWEEPS + "/stream/2026-11-22T00:00:00.000"),
        ("dynamodb:GetShardIterator", SWEEPS + "/stream/2026-11-22T00:00:00.000"),
        ("dynamodb:ListStreams", SWEEPS + "/stream/*"),
        ("sqs:SendMessage", "{stack}-lost-doorbells"),
        ("logs:CreateLogStream", "log-group:/aws/lambda/controller-asg:*"),
        ("logs:PutLogEvents", "log-group:/aws/lambda/controller-asg:*"),
    },
    "dashboard": {
        ("logs:CreateLogStream", "log-group:/aws/lambda/dashboard:*"),
        ("logs:PutLogEvents", "log-group:/aws/lambda/dashboard:*"),
    },
}


def needed(functions: Path, function: str, stack: str) -> set[tuple[str, str]]:
    """The rights that a function needs: its own calls', and Lambda's."""
    pairs = set(LAMBDA[function])
    for port in used(functions, function):
        pairs |= PORTS.get(port, set())
    return {(action, resource.format(stack=stack)) for action, resource in pairs}


def needed_by_groups(functions: Path, stack: str) -> set[tuple[str, str]]:
    """The rights that `muster group` needs, beside those by which CloudFormation makes what is in group.yaml."""
    pairs = set()
    for port in called(functions, COMMANDS):
        pairs |= PORTS[port]
    return {(action, resource.format(stack=stack)) for action, resource in pairs}


@cache
def used(functions: Path, function: str) -> set[tuple[str, str]]:
    """The ports' methods that a function's sources call."""
    return called(functions, SOURCES[function])


def called(functions: Path, sources: list[str]) -> set[tuple[str, str]]:
    """The ports' methods that sources call."""
    calls = re.compile(rf"\b({'|'.join(HOLDERS)})\s*\.\s*(\w+)\(")
    found = set()
    for file in _files(functions, sources):
        for holder, method in calls.findall(_code(file)):
            if method not in LOCAL:
                found.add((HOLDERS[holder], method))
    return found


@cache
def slips(functions: Path) -> list[str]:
    """Where the sources and the tables here do not agree."""
    found = []
    bodies: dict[tuple[str, str, str], str] = {}
    for place, body in _bodies(functions / "aws/src"):
        # A type's own method and a port's of the same name, in one file, are one.
        bodies[place] = bodies.get(place, "") + body
    for function in SOURCES:
        for port, method in sorted(used(functions, function) - set(PORTS)):
            found.append(f"functions/{function}: it calls {port}.{method}(), of which infra/tests/calls.py does not know the rights")
        for port, method in sorted(used(functions, function) & OPERATORS if function not in BY_OPERATORS else ()):
            found.append(f"functions/{function}: it calls {port}.{method}(), which is the operator's")
    for file in _files(functions, ["aws/src"]):
        for holder in re.findall(r"(\w+): &?(?:aws_sdk_\w+::)?Client\b", _code(file)):
            if holder not in HANDLES:
                found.append(f"functions/aws/src/{file.name}: an SDK's client is held as {holder}")
        if "ConditionCheck" in _code(file):
            found.append(f"functions/aws/src/{file.name}: a transaction has a ConditionCheck, which needs a right of its own")
    for place, body in bodies.items():
        for call in _sdk_calls(place, body):
            if call not in ACTIONS and place[1:] not in NOT_DEPLOYED:
                found.append(f"functions/aws/src: {'::'.join(place)} calls .{call}(), of which infra/tests/calls.py does not know the rights")
    for (port, method), pairs in PORTS.items():
        start = _implementation(bodies, port, method)
        if start is None:
            found.append(f"functions/aws/src: there is no {port}.{method}() any more")
            continue
        shown, tables = _reach(bodies, start)
        said = {action for action, _ in pairs} - IMPLIED.get((port, method), set())
        if shown != said:
            found.append(f"functions/aws/src: {port}.{method}() calls {sorted(shown)}, infra/tests/calls.py says {sorted(said)}")
        said_tables = {resource.removeprefix("table/{stack}-") for _, resource in pairs if resource.startswith("table/")}
        if tables != said_tables:
            found.append(f"functions/aws/src: {port}.{method}() is about {sorted(tables)}, infra/tests/calls.py says {sorted(said_tables)}")
    return found


@cache
def variables(functions: Path) -> dict[str, set[str]]:
    """The environment variables that each function reads, from the settings' sources."""
    settings = functions / "lambda/src/settings.rs"
    names = dict(re.findall(r'pub const (\w+): &str = "(MUSTER_\w+)";', _code(settings)))
    # What a method of the shared settings reads: `environment.stack()` is STACK.
    by_method = {}
    for (_, _, method), body in _bodies(settings.parent):
        read = {names[constant] for constant in re.findall(r"\b[A-Z][A-Z_]+\b", body) if constant in names}
        if read:
            by_method[method] = read
    found = {}
    for function in SOURCES:
        found[function] = set()
        for file in _files(functions, [f"{function}/src"]):
            code = _code(file)
            for method in re.findall(r"\benvironment\s*\.\s*(\w+)\(", code):
                found[function] |= by_method.get(method, set()) if method not in ("take", "text", "problem") else set()
            given = re.findall(r"\benvironment\s*\.\s*(?:take|text)\(\s*([A-Z_]+)\b", code)
            found[function] |= {names[constant] for constant in given}
    return found


@cache
def metrics(functions: Path) -> set[str]:
    """The names of the metrics that the functions emit."""
    emitted = set()
    for file in _files(functions, ["monitor-s/src", "controller-asg/src"]):
        emitted |= set(re.findall(r"\.with\(\s*Metric::(\w+)", _code(file)))
    naming = _code(functions / "lambda/src/emf.rs").split("fn name(")[1].split("fn ")[0]
    named = dict(re.findall(r'Self::(\w+) => "(\w+)"', naming))
    return {named[variant] for variant in emitted}


@cache
def defaults(functions: Path) -> dict[str, int]:
    """Numbers that templates and code must agree on."""
    port = re.search(r"DEFAULT_AGENT_PORT: u16 = (\d+);", (functions / "lambda/src/settings.rs").read_text())
    listen = re.search(r'env = "MUSTER_AGENT_LISTEN", default_value = "[\d.]+:(\d+)"', (functions.parent / "agent/src/config.rs").read_text())
    longest = re.search(r"LONGEST: Duration = Duration::from_secs\((\d+)\);", (functions / "monitor-s/src/rhythm.rs").read_text())
    return {"agent_port": int(port[1]), "agent_listen": int(listen[1]), "longest_seconds": int(longest[1])}


@cache
def tables(functions: Path) -> dict[str, dict[str, bool]]:
    """The tables as the schema defines them: whether each rings, whether its items expire."""
    schema = (functions / "aws/src/tables/schema.rs").read_text()
    defined = re.findall(r"Definition \{ name: (\w+), rings: (\w+), expires: (\w+) \}", schema)
    return {name: {"rings": rings == "true", "expires": expires == "true"} for name, rings, expires in defined}


# Reading Rust, as far as that is needed here.


def _files(functions: Path, names: list[str]) -> Iterator[Path]:
    for name in names:
        path = functions / name
        yield from sorted(path.rglob("*.rs")) if path.is_dir() else [path]


@cache
def _code(file: Path) -> str:
    """A file without its comments and its tests."""
    code = re.sub(r"//.*", "", file.read_text())
    return re.split(r"#\[cfg\(test\)\]\s*mod tests \{", code)[0]


def _bodies(folder: Path) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Every function of a folder, as (folder, module, name) and body."""
    for file in sorted(folder.rglob("*.rs")):
        code = _code(file)
        module = file.parent.name if file.stem in ("mod", "lib") else file.stem
        for found in re.finditer(r"\bfn (\w+)", code):
            opened = code.find("{", found.end())
            ended = code.find(";", found.end())
            if opened < 0 or 0 <= ended < opened:
                continue
            depth = 0
            for at in range(opened, len(code)):
                depth += {"{": 1, "}": -1}.get(code[at], 0)
                if depth == 0:
                    yield (file.parent.name, module, found[1]), code[opened : at + 1]
                    break


def _sdk_calls(place: tuple[str, str, str], body: str) -> set[str]:
    handles = "|".join(sorted(HANDLES | ({r"self\s*\.\s*0"} if place[1] == "parameters" else set())))
    return set(re.findall(rf"\b(?:{handles})\s*\.\s*(\w+)\(\)", body)) - {"clone"}


def _implementation(bodies: dict, port: str, method: str):
    folder = {"store": "tables", "fleet": "fleet", "stacks": "stacks"}.get(port)
    for place in bodies:
        if place[2] == method and (place[0] == folder or (port == "policies" and place[1] == "parameters")):
            # `read` is the name of readers of items, too: the port's own is in the module of the groups.
            if (port, method) != ("store", "read") or place[1] == "group":
                if (port, method) != ("store", "policy") or place[1] == "group":
                    return place
    return None


def _reach(bodies: dict, start: tuple[str, str, str]) -> tuple[set[str], set[str]]:
    """The actions and tables of a function and of all that it calls in its folder."""
    actions, tables, seen, left = set(), set(), set(), [start]
    while left:
        place = left.pop()
        if place in seen:
            continue
        seen.add(place)
        body = bodies[place]
        for call in _sdk_calls(place, body):
            actions |= ACTIONS.get(call, set())
        actions |= {WRITES[write] for write in re.findall(r"\bwork\s*\.\s*(\w+)\(", body) if write in WRITES}
        tables |= set(re.findall(r"\bnames\s*\.\s*(\w+)\b(?!\()", body))
        left += [other for other in bodies if other[0] == place[0] and other not in seen and _calls(place, body, other)]
    return actions, tables & {"control", "sweeps", "activity"}


def _calls(place: tuple[str, str, str], body: str, other: tuple[str, str, str]) -> bool:
    _, module, name = other
    if module == "transaction" and name != "send":
        return False
    if re.search(rf"\bself\s*\.\s*{name}\(", body) or re.search(rf"\b{module}::{name}\(", body):
        return True
    if name == "send":
        return module == "transaction" and re.search(r"\bwork\s*\.\s*send\(", body) is not None
    return module == place[1] and re.search(rf"(?<![\w.:]){name}\(", body) is not None
