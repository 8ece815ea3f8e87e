"""`rollback`: the alias `live` goes back to an earlier version. Every trigger points at the alias, so nothing else has to be done.

Settings go back with the code, for a version is both. The next deployment moves on from wherever the alias is.
"""

from dataclasses import dataclass

from .aws import Aws
from .deploy import NAMES
from .functions import Functions, before
from .settings import ALIAS
from .stacks import Stacks, outputs
from .told import Refused, Told


@dataclass
class Move:
    function: str
    name: str
    alias: dict
    version_from: str
    version_to: str
    commit_from: str
    commit_to: str


def names(stack: str, stacks: Stacks) -> dict[str, str]:
    """What the functions of a stack are called in AWS."""
    foundation = stacks.describe(f"{stack}-foundation")
    told = outputs(foundation)
    missing = [output for output in NAMES.values() if output not in told]
    if missing:
        raise Refused(f"there is no stack {stack}: {stack}-foundation {'has no outputs' if foundation else 'does not exist'}")
    return {function: told[output] for function, output in NAMES.items()}


def rollback(stack: str, wanted: list[str], version: int | None, aws: Aws, told: Told) -> list[Move]:
    """Moves the aliases of some functions. All are looked at before any is moved: if one cannot go back, none does."""
    functions = Functions(aws, told)
    told.doing(f"looking at {stack} in {aws.account}, {aws.region}")
    called = names(stack, Stacks(aws, told))
    moves = [choose(function, called[function], version, functions) for function in wanted]
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
