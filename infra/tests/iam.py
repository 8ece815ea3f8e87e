"""Would IAM allow this call? An evaluator for what our policies are written with; whatever else it meets, it refuses to judge.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from dataclasses import dataclass, field

ALLOWED = "allowed"
# No statement allows it.
NOT_ALLOWED = "not allowed"
# A statement denies it, whatever others say.
DENIED = "denied"


class Unknown(Exception):
    """A policy uses what this evaluator does not know."""


@dataclass(frozen=True)
class Call:
    """A call as IAM sees it: one action on one resource, and what is known of the request."""

    action: str
    resource: str
    context: dict = field(default_factory=dict)

    def value(self, key: str):
        """The value of a condition key, whose name has no case; none when the request has none."""
        known = {name.lower(): value for name, value in self.context.items()}
        return known.get(key.lower())


def decide(policies: list[dict], call: Call) -> str:
    """What identity policies come to for a call."""
    verdict = NOT_ALLOWED
    for policy in policies:
        for statement in listed(policy["Statement"]):
            if not _applies(statement, call):
                continue
            if statement["Effect"] == "Deny":
                return DENIED
            verdict = ALLOWED
    return verdict


def _applies(statement: dict, call: Call) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or statement["Effect"] not in ("Allow", "Deny"):
        raise Unknown(f"{statement.get('Sid')}: {sorted(unknown) or statement['Effect']}")
    actions, resources = listed(statement["Action"]), listed(statement["Resource"])
    if any("${" in pattern for pattern in resources):
        raise Unknown(f"{statement.get('Sid')}: a policy variable")
    return (
        any(like(pattern.lower(), call.action.lower()) for pattern in actions)
        # As a text: where IAM is stricter than that, it allows less than is found here, and we look for too much.
        and any(like(pattern, call.resource) for pattern in resources)
        and all(
            _holds(operator, key, listed(wanted), call)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: list, call: Call) -> bool:
    wanted = [str(value).lower() if isinstance(value, bool) else str(value) for value in wanted]
    value = call.value(key)
    if operator == "Null":
        [expected] = wanted
        return (value is None) == (expected == "true")
    many, _, operator = operator.rpartition(":")
    if operator.endswith("IfExists"):
        operator = operator.removesuffix("IfExists")
        if value is None:
            return True
    if operator not in _OPERATORS:
        raise Unknown(f"the condition operator {operator}")
    matches, negated = _OPERATORS[operator]
    fits = lambda one: any(matches(pattern, str(one)) for pattern in wanted) != negated
    match many:
        case "":
            # A key that the request does not have matches nothing, so it matches every negation.
            if value is None:
                return negated
            if isinstance(value, (list, tuple)):
                raise Unknown(f"{key} has several values, and {operator} is for one")
            return fits(str(value).lower() if isinstance(value, bool) else value)
        case "ForAllValues":
            # True of no values at all: that is IAM's own trap, and ours to see.
            return all(fits(one) for one in listed(value or []))
        case "ForAnyValue":
            return any(fits(one) for one in listed(value or []))
    raise Unknown(f"the condition operator {many}:{operator}")


def listed(value) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def like(pattern: str, text: str) -> bool:
    """`*` is any number of characters, `?` one; nothing else has a meaning."""
    regex = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(regex, text, re.DOTALL) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """ARNs match part by part: a wildcard does not reach over the first five colons. `*` alone is anything."""
    if pattern == "*":
        return True
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) and all(map(like, patterns, parts))


_OPERATORS = {
    "StringEquals": (str.__eq__, False),
    "StringNotEquals": (str.__eq__, True),
    "StringEqualsIgnoreCase": (lambda pattern, text: pattern.lower() == text.lower(), False),
    "StringLike": (like, False),
    "StringNotLike": (like, True),
    "ArnEquals": (arn_like, False),
    "ArnLike": (arn_like, False),
    "ArnNotLike": (arn_like, True),
    "Bool": (lambda pattern, text: pattern.lower() == text.lower(), False),
}
