"""CloudFormation's templates, read and resolved as CloudFormation would with given parameters, without an account."""

import re
from pathlib import Path

import yaml

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": None,
}
# What a resource is called where a template refers to it; anything else is called by its logical id.
NAMED_BY = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::Scheduler::ScheduleGroup": "Name",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML with CloudFormation's short forms."""


def _function(loader: yaml.Loader, suffix: str, node: yaml.Node) -> dict:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)
# Dates are texts here: a policy's version is one.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Unresolved(Exception):
    """Something in a template names what is not there, or is not known here."""


class Template:
    """A template, with the values that its parameters have."""

    def __init__(self, path: Path, parameters: dict | None = None, exports: dict | None = None):
        self.file = path.name
        try:
            self.raw = yaml.load(path.read_text(), _Loader)
        except yaml.YAMLError as error:
            raise Unresolved(f"{self.file}: it is not YAML: {error}") from error
        defaults = {name: body.get("Default") for name, body in self.raw.get("Parameters", {}).items()}
        self.parameters = {**defaults, **(parameters or {})}
        self.exports = exports or {}
        for name, body in self.raw.get("Parameters", {}).items():
            if body["Type"] == "CommaDelimitedList" and isinstance(self.parameters[name], str):
                self.parameters[name] = self.parameters[name].split(",")

    def resources(self, kind: str) -> dict[str, dict]:
        """The resolved properties of every resource of a kind that is made, by logical id."""
        found = {}
        for name, body in self.raw["Resources"].items():
            if body["Type"] == kind and self._made(body):
                found[name] = self.resolve(body.get("Properties", {}))
        return found

    def outputs(self) -> dict[str, object]:
        made = {name: body for name, body in self.raw.get("Outputs", {}).items() if self._made(body)}
        return {name: self.resolve(body["Value"]) for name, body in made.items()}

    def exported(self) -> dict[str, object]:
        """What other templates may import."""
        outputs = self.raw.get("Outputs", {}).values()
        return {self.resolve(o["Export"]["Name"]): self.resolve(o["Value"]) for o in outputs if "Export" in o}

    def resolve(self, value):
        if isinstance(value, list):
            kept = (self.resolve(item) for item in value)
            return [item for item in kept if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._call(name, argument)
        kept = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}

    def _call(self, name: str, argument):
        match name:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                return self._attribute(*argument)
            case "Fn::Sub":
                text, own = (argument, {}) if isinstance(argument, str) else argument
                own = {key: self.resolve(item) for key, item in own.items()}
                return re.sub(r"\$\{([^!][^}]*)\}", lambda found: str(self._named(found[1], own)), text)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(map(str, self.resolve(parts)))
            case "Fn::Split":
                separator, text = argument
                return self.resolve(text).split(separator)
            case "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self._condition({"Condition": condition}) else otherwise)
            case "Fn::ImportValue":
                wanted = self.resolve(argument)
                if wanted not in self.exports:
                    raise Unresolved(f"{self.file}: {wanted} is imported and nobody exports it")
                return self.exports[wanted]
        raise Unresolved(f"{self.file}: {name} is not known here")

    def _named(self, name: str, own: dict):
        if name in own:
            return own[name]
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _ref(self, name: str):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            value = self.parameters[name]
            return f"{name}?" if value is None else value
        if name not in self.raw["Resources"]:
            raise Unresolved(f"{self.file}: there is no {name}")
        body = self.raw["Resources"][name]
        named_by = NAMED_BY.get(body["Type"])
        return self.resolve(body["Properties"][named_by]) if named_by else name

    def _attribute(self, name: str, attribute: str):
        body = self.raw["Resources"].get(name)
        if body is None:
            raise Unresolved(f"{self.file}: there is no {name}")
        called = self._ref(name)
        where = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
        match body["Type"], attribute:
            case "AWS::DynamoDB::Table", "Arn":
                return f"arn:aws:dynamodb:{where}:table/{called}"
            case "AWS::DynamoDB::Table", "StreamArn":
                return f"arn:aws:dynamodb:{where}:table/{called}/stream/2026-11-22T00:00:00.000"
            case "AWS::SQS::Queue", "Arn":
                return f"arn:aws:sqs:{where}:{called}"
            case "AWS::SQS::Queue", "QueueName":
                return called
            case "AWS::IAM::Role", "Arn":
                path = self.resolve(body["Properties"].get("Path", "/"))
                return f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:role{path}{name}"
        return f"{name}.{attribute}"

    def _made(self, body: dict) -> bool:
        return "Condition" not in body or self._condition({"Condition": body["Condition"]})

    def _condition(self, value) -> bool:
        [(name, argument)] = value.items()
        match name:
            case "Condition":
                return self._condition(self.raw["Conditions"][argument])
            case "Fn::Not":
                return not self._condition(argument[0])
            case "Fn::And":
                return all(map(self._condition, argument))
            case "Fn::Equals":
                first, second = self.resolve(argument)
                return first == second
        raise Unresolved(f"{self.file}: {name} is not known here")
