"""An account of AWS in memory, as far as `operate` looks at one.

Its clients are boto3's own: they check each request against AWS's model, and ask the world instead of the network. What is not written
here as a method is a call that nobody expected, and fails.
"""

import sys
from pathlib import Path

import botocore.session
from botocore.awsrequest import AWSResponse

from template import Template

INFRA = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(INFRA))

from operate.told import Failed, Told  # noqa: E402

REGION, ACCOUNT = "eu-central-1", "111122223333"
SERVICES = {"functions": "lambda"}
_CLIENTS: dict = {}


class Refusal(Exception):
    """What AWS answers instead."""

    def __init__(self, code: str, message: str = ""):
        super().__init__(message or code)
        self.code = code


class World:
    """The account; also the `Aws` that `operate` is given."""

    region, account, endpoint = REGION, ACCOUNT, ""

    def __init__(self):
        # (service, operation, parameters), in order.
        self.calls: list[tuple[str, str, dict]] = []
        self.stacks: dict[str, dict] = {}
        # A status that the next creation of a stack ends with instead, and the events that it leaves.
        self.ends: dict[str, tuple[str, list[dict]]] = {}
        self.functions_there: dict[str, dict] = {}
        self.tables: set[str] = set()
        self.parameters: set[str] = set()
        self.log_groups: dict[str, list[dict]] = {}
        self.vpcs = {"vpc-1": ["10.0.0.0/16"]}
        self.subnets = {"subnet-a": ("vpc-1", "10.0.1.0/24"), "subnet-b": ("vpc-1", "10.0.2.0/24")}
        # Table: its VPC, and the subnets that it is associated with; the main one has none.
        self.route_tables = {"rtb-main": ("vpc-1", None), "rtb-b": ("vpc-1", ["subnet-b"])}
        self.endpoints: list[dict] = []
        # What a function's configuration says after a change of it.
        self.after_a_change: dict[str, str] = {}
        # How often an interface is still there when somebody looks.
        self.interfaces = 0

    def __getattr__(self, name: str):
        if name in ("cloudformation", "dynamodb", "ec2", "functions", "logs", "ssm"):
            return _client(SERVICES.get(name, name), self)
        raise AttributeError(name)

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin"}

    def asked(self, *operations: str) -> list[str]:
        """The operations that were called, those that were named alone, in order."""
        return [operation for _, operation, _ in self.calls if operation in operations]

    def told(self, operation: str) -> list[dict]:
        return [parameters for _, called, parameters in self.calls if called == operation]

    # CloudFormation.

    def DescribeStacks(self, StackName=None):
        if StackName is None:
            return {"Stacks": [{key: stack[key] for key in stack if key not in ("then", "events")} for stack in self.stacks.values()]}
        if StackName not in self.stacks:
            raise Refusal("ValidationError", f"Stack with id {StackName} does not exist")
        stack = self.stacks[StackName]
        # What is under way has ended when it is looked at again.
        shown = dict(stack)
        stack["StackStatus"] = stack.pop("then", stack["StackStatus"])
        if stack["StackStatus"] == "DELETE_COMPLETE":
            del self.stacks[StackName]
        return {"Stacks": [{key: value for key, value in shown.items() if key not in ("then", "events")}]}

    def DescribeStackEvents(self, StackName):
        return {"StackEvents": self.stacks[StackName].get("events", [])}

    def CreateStack(self, StackName, TemplateBody, Parameters, **_):
        end, events = self.ends.pop(StackName, ("CREATE_COMPLETE", []))
        self._stack(StackName, Parameters, "CREATE_IN_PROGRESS", end, events)
        return {"StackId": StackName}

    def UpdateStack(self, StackName, TemplateBody, Parameters, **_):
        stack = self.stacks[StackName]
        before = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
        resolved = [
            {**one, "ParameterValue": one.get("ParameterValue", before.get(one["ParameterKey"]))} for one in Parameters
        ]
        self._stack(StackName, resolved, "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", [])
        # Of the template itself, as much as its outputs show.
        made = {one["OutputKey"]: one["OutputValue"] for one in self.stacks[StackName]["Outputs"]}
        if before == {one["ParameterKey"]: one["ParameterValue"] for one in resolved} and made == {
            one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]
        }:
            self.stacks[StackName] = stack
            raise Refusal("ValidationError", "No updates are to be performed.")
        return {"StackId": StackName}

    def DeleteStack(self, StackName, **_):
        self.stacks[StackName] |= {"StackStatus": "DELETE_IN_PROGRESS", "then": "DELETE_COMPLETE"}
        return {}

    def _stack(self, name, parameters, status, then, events):
        file = f"{name.rsplit('-', 1)[1]}.yaml"
        given = {one["ParameterKey"]: one["ParameterValue"] for one in parameters}
        exports = {}
        if file == "triggers.yaml":
            prefix = name.removesuffix("-triggers")
            outputs = {one["OutputKey"]: one["OutputValue"] for one in self.stacks[f"{prefix}-foundation"]["Outputs"]}
            exports = {f"{prefix}-{key}": value for key, value in outputs.items()}
        template = Template(INFRA / file, given, exports)
        if "CREATE" in status and file == "foundation.yaml":
            self.tables |= {f"{template.parameters['Stack']}-{table}" for table in ("control", "sweeps", "activity")}
        self.stacks[name] = {
            "StackName": name, "CreationTime": 0, "StackStatus": status, "then": then, "events": events,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": ",".join(value) if isinstance(value, list) else str(value)}
                for key, value in template.parameters.items()
            ],
            "Outputs": [{"OutputKey": key, "OutputValue": str(value)} for key, value in template.outputs().items()],
        }

    # Lambda. `cargo lambda deploy` is CargoLambda, below.

    def _function(self, name):
        if name not in self.functions_there:
            raise Refusal("ResourceNotFoundException", name)
        return self.functions_there[name]

    def GetFunctionConfiguration(self, FunctionName, Qualifier=None):
        return dict(self._function(FunctionName)["configuration"])

    def UpdateFunctionConfiguration(self, FunctionName, **changed):
        # What was wrong before is mended by any change, unless it is said to stay.
        self._function(FunctionName)["configuration"] |= {"LastUpdateStatus": "Successful", **changed, **self.after_a_change}
        return {}

    def GetAlias(self, FunctionName, Name):
        function = self._function(FunctionName)
        if not function["live"]:
            raise Refusal("ResourceNotFoundException", Name)
        return {"Name": Name, "FunctionVersion": str(function["live"]), "RevisionId": "r-1"}

    def UpdateAlias(self, FunctionName, Name, FunctionVersion, RevisionId=None):
        self._function(FunctionName)["live"] = int(FunctionVersion)
        return {}

    def ListVersionsByFunction(self, FunctionName, **_):
        versions = ["$LATEST", *map(str, self._function(FunctionName)["versions"])]
        return {"Versions": [{"Version": version} for version in versions]}

    def DeleteFunction(self, FunctionName):
        self._function(FunctionName)
        del self.functions_there[FunctionName]
        return {}

    def ListTags(self, Resource):
        return {"Tags": dict(self._function(Resource.split(":")[-1])["tags"])}

    def TagResource(self, Resource, Tags):
        self._function(Resource.split(":")[-1])["tags"] |= Tags
        return {}

    def UntagResource(self, Resource, TagKeys):
        for key in TagKeys:
            self._function(Resource.split(":")[-1])["tags"].pop(key, None)
        return {}

    # The network.

    def DescribeSubnets(self, SubnetIds):
        unknown = [one for one in SubnetIds if one not in self.subnets]
        if unknown:
            raise Refusal("InvalidSubnetID.NotFound", f"The subnet ID '{unknown[0]}' does not exist")
        return {"Subnets": [{"SubnetId": one, "VpcId": self.subnets[one][0], "CidrBlock": self.subnets[one][1]} for one in SubnetIds]}

    def DescribeVpcs(self, VpcIds):
        [vpc] = VpcIds
        ranges = [{"CidrBlock": one, "CidrBlockState": {"State": "associated"}} for one in self.vpcs[vpc]]
        return {"Vpcs": [{"VpcId": vpc, "CidrBlock": self.vpcs[vpc][0], "CidrBlockAssociationSet": ranges}]}

    def DescribeRouteTables(self, Filters):
        [vpc] = Filters[0]["Values"]
        found = []
        for table, (of, subnets) in self.route_tables.items():
            associations = [{"Main": True}] if subnets is None else [{"Main": False, "SubnetId": one} for one in subnets]
            if of == vpc:
                found.append({"RouteTableId": table, "VpcId": of, "Associations": associations})
        return {"RouteTables": found}

    def DescribeVpcEndpoints(self, Filters):
        return {"VpcEndpoints": self.endpoints}

    def DescribeNetworkInterfaces(self, Filters):
        self.interfaces -= 1
        return {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}] if self.interfaces >= 0 else []}

    # The rest.

    def DescribeTable(self, TableName):
        if TableName not in self.tables:
            raise Refusal("ResourceNotFoundException", TableName)
        return {"Table": {"TableName": TableName}}

    def GetParameter(self, Name):
        if Name not in self.parameters:
            raise Refusal("ParameterNotFound", Name)
        return {"Parameter": {"Name": Name}}

    def DescribeLogGroups(self, logGroupNamePrefix):
        return {"logGroups": [{"logGroupName": one} for one in sorted(self.log_groups) if one.startswith(logGroupNamePrefix)]}

    def FilterLogEvents(self, logGroupName, startTime, nextToken="0"):
        if logGroupName not in self.log_groups:
            raise Refusal("ResourceNotFoundException", logGroupName)
        # Two on a page, and an empty page after them.
        events = [one for one in self.log_groups[logGroupName] if one["timestamp"] >= startTime]
        at = int(nextToken)
        more = {"nextToken": str(at + 2)} if at <= len(events) else {}
        return {"events": events[at : at + 2], **more}


class CargoLambda:
    """`cargo lambda deploy`, into a world. Every upload is a new version, as every build is."""

    # What the next creations fail with.
    failures: list[str] = []

    def __init__(self, world: World):
        self.world = world
        self.ran: list[tuple[str, str]] = []

    def create(self, wanted) -> str:
        self.ran.append(("create", wanted.name))
        if self.failures:
            raise Failed(self.failures.pop(0))
        self.world.calls.append(("cargo", "create", {"name": wanted.name}))
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{wanted.name}"
        configuration = {
            "FunctionName": wanted.name, "FunctionArn": arn, "Role": wanted.role, "Timeout": wanted.timeout_seconds,
            "MemorySize": wanted.memory_mb, "Environment": {"Variables": dict(wanted.environment)}, "Architectures": ["x86_64"],
            "VpcConfig": {"SubnetIds": list(wanted.subnets), "SecurityGroupIds": list(wanted.security_groups)},
        }
        self.world.functions_there[wanted.name] = {"configuration": configuration, "versions": [1], "live": 1, "tags": {}}
        return "1"

    def update(self, wanted) -> str:
        self.ran.append(("update", wanted.name))
        self.world.calls.append(("cargo", "update", {"name": wanted.name}))
        function = self.world.functions_there[wanted.name]
        version = max(function["versions"], default=0) + 1
        function["versions"].append(version)
        function["live"] = version
        return str(version)


class Silent(Told):
    """What would have been told."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []

    def say(self, what: str) -> None:
        self.lines.append(what)


def _client(service: str, world: World):
    """boto3's client of a service, asking this world. Made once: reading AWS's model takes long."""
    if service not in _CLIENTS:
        session = botocore.session.Session(session_vars={"profile": (None, None, None, None), "config_file": (None, None, "/dev/null", None)})
        session.set_credentials("none", "none")
        client = session.create_client(service, region_name=REGION)
        asked = {}
        client.meta.events.register("before-parameter-build", lambda params, **_: asked.update(now=dict(params)))
        client.meta.events.register("before-call", lambda model, **_: _answer(service, model.name, asked["now"]))
        _CLIENTS[service] = client
    _CLIENTS["world"] = world
    return _CLIENTS[service]


def _answer(service: str, operation: str, parameters: dict):
    world = _CLIENTS["world"]
    world.calls.append((service, operation, parameters))
    try:
        return AWSResponse(None, 200, {}, None), getattr(world, operation)(**parameters)
    except Refusal as error:
        return AWSResponse(None, 400, {}, None), {"Error": {"Code": error.code, "Message": str(error)}}
