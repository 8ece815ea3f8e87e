"""What the functions are deployed with: functions.json, filled in with the outputs of foundation.yaml.

functions.json is what settings are; here is only how it is read. In it `${Name}` is an output of foundation.yaml and `${env:NAME}` a
variable of whoever deploys.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from .told import Refused

INFRA = Path(__file__).resolve().parent.parent
ALIAS = "live"
# Of ours; what others read (proxies, runtimes, emulators) has other names.
OURS = "MUSTER_"


@dataclass(frozen=True)
class Settings:
    """What one function is to be."""

    # Its package and binary, such as `monitor-s`; its name in AWS may be another.
    function: str
    name: str
    stack: str
    role: str
    timeout_seconds: int
    memory_mb: int
    # Both empty outside of a VPC.
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    # What it is to have in its environment, whatever it has; and what it must not have, because somebody said so.
    environment: dict[str, str]
    removed: frozenset[str]
    # All that functions.json names, with or without a value.
    known: frozenset[str] = field(default_factory=frozenset)

    def merged(self, present: dict[str, str]) -> dict[str, str]:
        """The environment of a function that has one already: what is not given keeps its value.

        A variable of ours that functions.json does not name any more goes: the function would warn of it for ever.
        """
        kept = {name: value for name, value in present.items() if not name.startswith(OURS) or name in self.known}
        merged = {**kept, **self.environment}
        return {name: value for name, value in merged.items() if name not in self.removed}


def functions(infra: Path = INFRA) -> dict[str, dict]:
    try:
        return json.loads((infra / "functions.json").read_text())
    except ValueError as error:
        raise Refused(f"functions.json: it is not JSON: {error}") from error


def settings(
    function: str,
    outputs: dict[str, str],
    environ: dict[str, str],
    subnets: list[str],
    added: dict[str, str] | None = None,
    infra: Path = INFRA,
) -> Settings:
    """The settings of a function. `added` is what `--env` says: an empty value takes a variable away."""
    table = functions(infra)
    told = table[function]

    def said(text: str) -> str:
        def value(found: re.Match) -> str:
            kind, _, name = found[1].rpartition(":")
            if kind == "env":
                return environ.get(name, "")
            if name not in outputs:
                raise Refused(f"functions.json: {function}: {text} is no output of foundation.yaml")
            return outputs[name]

        return re.sub(r"\$\{([^}]*)\}", value, text)

    inside = "security_group" in told
    if inside and not subnets:
        raise Refused(f"--subnets must be given: {function} is deployed for the first time, and is in the VPC")
    environment = {name: said(text) for name, text in told["environment"].items()}
    environment = {name: value for name, value in environment.items() if value}
    mine = {name: value for name, value in (added or {}).items() if not name.startswith(OURS) or name in told["environment"]}
    environment |= {name: value for name, value in mine.items() if value}
    return Settings(
        function=function,
        name=said(told["name"]),
        stack=outputs["Stack"],
        role=said(told["role"]),
        timeout_seconds=told["timeout_seconds"],
        memory_mb=told["memory_mb"],
        subnets=tuple(subnets) if inside else (),
        security_groups=(said(told["security_group"]),) if inside else (),
        environment=environment,
        removed=frozenset(name for name, value in mine.items() if not value),
        known=frozenset(told["environment"]),
    )


def check_added(added: dict[str, str], infra: Path = INFRA) -> None:
    """Refuses a variable of ours that no function reads."""
    known = {name for one in functions(infra).values() for name in one["environment"]}
    for name in added:
        if name.startswith(OURS) and name not in known:
            raise Refused(f"--env {name}: no function reads it; they read {', '.join(sorted(known))}")


def code_flags(wanted: Settings) -> list[str]:
    """The flags of `cargo lambda deploy` for new code alone: everything else stays as it is."""
    return ["--alias", ALIAS, "--binary-name", wanted.function]


def flags(wanted: Settings, environment_file: Path) -> list[str]:
    """The flags of `cargo lambda deploy` for a function that is new.

    The environment goes by a file: on a command line others could read secrets, and cargo-lambda would split values at commas.
    """
    found = code_flags(wanted)
    found += ["--role", wanted.role, "--timeout", str(wanted.timeout_seconds), "--memory", str(wanted.memory_mb)]
    found += ["--tag", f"muster:stack={wanted.stack}"]
    if wanted.subnets:
        found += ["--subnet-ids", ",".join(wanted.subnets), "--security-group-ids", ",".join(wanted.security_groups)]
    if wanted.environment:
        found += ["--env-file", str(environment_file)]
    return found


def environment_file(environment: dict[str, str]) -> str:
    """An environment as cargo-lambda reads it from a file: one variable a line, quoted so that nothing in a value has a meaning."""
    lines = []
    for name, value in environment.items():
        quote = next((one for one in "'\"`" if one not in value), None)
        if quote is None or "\n" in value or "\\" in value and quote != "'":
            raise Refused(f"the value of {name} cannot be handed to cargo-lambda: a newline, or all kinds of quotes, or quotes and '\\'")
        lines.append(f"{name}={quote}{value}{quote}\n")
    return "".join(lines)
