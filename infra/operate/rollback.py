"""`rollback`: the alias `live` goes back to an earlier version. Every trigger points at the alias, so nothing else has to be done.

Settings go back with the code, for a version is both. The next deployment moves on from wherever the alias is.
"""

from dataclasses import dataclass

from .aws import Aws
from .deploy import deployed_names
from .functions import Functions, before
from .settings import ALIAS
from .stacks import Stacks, outputs
from .told import Refused, Told

# It decides nothing, and came later than the others: that it has nowhere to go back to must not keep those where they are.
BESIDE = "dashboard"


@dataclass
class Move:
    function: str
    name: str
    alias: dict
    version_from: str
    version_to: str
    commit_from: str
    commit_to: str


def names(stack: str, wanted: list[str] | None, stacks: Stacks) -> dict[str, str]:
    """What functions of a stack are called in AWS; all that it has, unless some are wanted. One that was deployed before there was a Dashboard
    has none."""
    foundation = stacks.describe(f"{stack}-foundation")
    called = deployed_names(outputs(foundation))
    if not called:
        raise Refused(f"there is no stack {stack}: {stack}-foundation {'has no outputs' if foundation else 'does not exist'}")
    missing = [function for function in wanted or () if function not in called]
    if missing:
        raise Refused(f"{stack} has no {', '.join(missing)} yet: it has {', '.join(called)}, and a deployment adds the rest")
    return {function: called[function] for function in wanted or called}


def rollback(stack: str, wanted: list[str] | None, version: int | None, aws: Aws, told: Told) -> list[Move]:
    """Moves the aliases of some functions, or of all. All are looked at before any is moved: if one cannot go back, none does.

    Unless it is asked for by name, Dashboard alone may stay where it is.
    """
    functions = Functions(aws, told)
    told.doing(f"looking at {stack} in {aws.account}, {aws.region}")
    moves = []
    for function, name in names(stack, wanted, Stacks(aws, told)).items():
        try:
            moves.append(choose(function, name, version, functions))
        except Refused as refused:
            if wanted or function != BESIDE:
                raise
            told.say(f"{refused}. It stays where it is")
    for move in moves:
        told.doing(f"{move.name}: {ALIAS} goes from version {move.version_from} to {move.version_to}")
        functions.move(move.name, move.alias, move.version_to)
    return moves


def choose(function: str, name: str, version: int | None, functions: Functions) -> Move:
    """Where a function's alias goes: to the version that is named, or to the newest before the present one."""
    alias = functions.alias(name)
    if not alias:
        raise Refused(f"{name} has no alias {ALIAS}: it was never deployed to the end")
    current = int(alias["FunctionVersion"])
    versions = functions.versions(name)
    target = before(versions, current) if version is None else version
    there = ", ".join(map(str, versions))
    if target is None:
        raise Refused(f"{name}: {ALIAS} is on version {current}, and there is none before it (there is {there})")
    if target not in versions:
        raise Refused(f"{name} has no version {target} (there is {there})")
    if target == current:
        raise Refused(f"{name}: {ALIAS} is on version {target} already")
    commits = functions.commits(name)
    return Move(function, name, alias, str(current), str(target), commits.get(str(current), ""), commits.get(str(target), ""))


def as_document(stack: str, moves: list[Move]) -> dict:
    return {
        "stack": stack,
        "functions": [
            {
                "function": move.function, "name": move.name, "alias": ALIAS, "from": move.version_from, "to": move.version_to,
                "commit_from": move.commit_from, "commit_to": move.commit_to,
            }
            for move in moves
        ],
    }


def as_rows(moves: list[Move]) -> list[list[str]]:
    rows = [["function", "alias", "from", "to", "commit"]]
    return rows + [[one.name, ALIAS, one.version_from, one.version_to, one.commit_to or "not written down"] for one in moves]
