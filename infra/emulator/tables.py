"""The stack's tables as whoever checks a run sees them: plain reading, with another client than the product's."""

from boto3.dynamodb.types import TypeDeserializer

COUNTED = ("pending", "active")


class Tables:
    """What is stored of a stack's groups."""

    def __init__(self, dynamodb, stack: str):
        self.dynamodb = dynamodb
        self.stack = stack

    def items(self, table: str, group: str, begins: str = "") -> list[dict]:
        """The group's items whose sort keys begin so, in their order."""
        condition, values = "pk = :pk", {":pk": {"S": f"GROUP#{group}"}}
        if begins:
            condition, values = f"{condition} AND begins_with(sk, :sk)", values | {":sk": {"S": begins}}
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=f"{self.stack}-{table}", KeyConditionExpression=condition, ExpressionAttributeValues=values, ConsistentRead=True,
        )
        read = TypeDeserializer().deserialize
        return [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    def head(self, group: str) -> dict | None:
        return next(iter(self.items("control", group, "HEAD")), None)

    def members(self, group: str) -> list[dict]:
        return self.items("control", group, "MEMBER#")

    def intents(self, group: str) -> list[dict]:
        return self.items("control", group, "INTENT#")

    def sweeps(self, group: str) -> list[dict]:
        return self.items("sweeps", group, "S#")

    def activities(self, group: str, kind: str | None = None) -> list[dict]:
        return [found for found in self.items("activity", group) if kind in (None, found["kind"])]


def state(member: dict) -> str:
    """The name of a member's state: some hold more than their name."""
    found = member["state"]
    return found if isinstance(found, str) else next(iter(found))


def is_launch(intent: dict) -> bool:
    return "launch" in intent["call"]


def actual(members: list[dict], intents: list[dict]) -> int:
    """The members that count, with the launches that are under way (C2, C3)."""
    return sum(state(member) in COUNTED for member in members) + sum(map(is_launch, intents))
