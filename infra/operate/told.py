"""What is told while something goes on, and how it ends: progress on standard error, one result on standard output."""

import json
import sys
import time


class Refused(Exception):
    """It was not begun: an option is missing or out of its range, or the stack is not in a state for it. Exit code 2."""


class Failed(Exception):
    """It was begun and went wrong. Exit code 1; what has been done stays done, and running it again goes on from there."""


class Told:
    """The progress of one command. It knows what is under way, so that somebody who interrupts it is told."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stderr
        self._begun = time.monotonic()
        self.under_way = "nothing yet"

    def doing(self, what: str) -> None:
        """A step begins that takes a while and can be interrupted."""
        self.under_way = what
        self.say(what)

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._begun:7.1f} s  {what}", file=self._stream, flush=True)


def table(rows: list[list[str]]) -> str:
    """Rows of the same length as columns; the first is the head."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def result(document: dict, shown: list[list[str]] | str, as_json: bool) -> None:
    """The one thing that goes to standard output."""
    text = shown if isinstance(shown, str) else table(shown)
    print(json.dumps(document, indent=2) if as_json else text, flush=True)
