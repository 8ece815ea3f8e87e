"""The scenarios of `muster up` (cli/scenarios), played slower: there the sweeps are a second apart, here ten."""

import re
from dataclasses import dataclass
from pathlib import Path

try:
    import tomllib
except ImportError:
    import tomli as tomllib

from environment import ROOT

from .processes import Trouble

SCENARIOS = ROOT / "cli/scenarios"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def span(text: str) -> float:
    """Seconds: 500ms, 10s, 5m or 1h."""
    found = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    if not found:
        raise ValueError(f"{text!r} is no span such as 500ms, 10s, 5m or 1h")
    return int(found[1]) * UNITS[found[2]]


@dataclass(frozen=True)
class Event:
    at: float
    deed: str
    agents: int | None
    lasts: float | None


class Scenario:
    """The total demand over time, and what befalls the agents."""

    def __init__(self, name: str, pace: float):
        path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
        try:
            told = tomllib.loads(path.read_text())
            self.title = told.get("title", name)
            self._phases = [(span(one["for"]) * pace, float(one["demand"]), one.get("ramp", False)) for one in told["phase"]]
            self.events = [
                Event(span(one["at"]) * pace, one["do"], one.get("agents"), span(one["for"]) * pace if "for" in one else None)
                for one in told.get("event", [])
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Trouble(f"--scenario {name}: {error!r}") from error

    def demand(self, elapsed: float) -> float:
        start, before = 0.0, self._phases[0][1]
        for lasts, demand, ramp in self._phases:
            if elapsed < start + lasts:
                return before + (demand - before) * (elapsed - start) / lasts if ramp else demand
            start, before = start + lasts, demand
        return before
