"""The command `muster`, which makes and removes groups: nobody else writes what it writes."""

import json
import os
import subprocess
from pathlib import Path

from environment import ROOT, target

from .told import Failed, Refused

# A group is a stack of CloudFormation's.
ADD_SECONDS = 30 * 60
# Beside the half hour that the command itself gives a group's members to drain.
REMOVE_SECONDS = 45 * 60
LIST_SECONDS = 60


class Muster:
    def __init__(self, stack: str, environ: dict[str, str]):
        self._stack = stack
        self._environ = environ
        self._path = Path(os.environ.get("MUSTER") or target() / "release/muster").absolute()

    def check(self) -> None:
        """Refuses to go on without the command, before anything has been done."""
        if not self._path.is_file():
            raise Refused(f"there is no {self._path}: `make build-muster` makes it, and MUSTER names another place")

    def add(self, group: str, options: list[str]) -> None:
        """Makes a group, or changes it. A policy is written only where there is none; that is the command's promise."""
        self._run(["group", "add", group, *options], ADD_SECONDS)

    def remove(self, group: str, force: bool) -> None:
        self._run(["group", "remove", group, *(["--force"] if force else [])], REMOVE_SECONDS)

    def groups(self) -> dict[str, int]:
        """The groups of the stack, and how many members each has."""
        said = self._run(["group", "list", "--json"], LIST_SECONDS, answer=True)
        try:
            # A group that was never decided on has no records yet.
            return {one["group"]: (one["records"] or {"members": 0})["members"] for one in json.loads(said)["groups"]}
        except (KeyError, TypeError, ValueError) as error:
            raise Failed(f"`muster group list --json` answered {said!r}") from error

    def _run(self, words: list[str], seconds: float, answer: bool = False) -> str:
        self.check()
        command = [self._path, "--stack", self._stack, *words]
        shown = f"`muster --stack {self._stack} {' '.join(words)}`"
        try:
            # Our standard output is for one result: what it says goes to standard error, unless it is asked for.
            run = subprocess.run(
                command, cwd=ROOT, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if answer else 2,
                text=True, timeout=seconds, check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{shown} had not ended after {seconds:.0f} s") from error
        if run.returncode:
            raise Failed(f"{shown} ended with exit code {run.returncode}; why, it has said above")
        return run.stdout or ""
