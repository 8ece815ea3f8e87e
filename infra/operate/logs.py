"""`logs`: what the functions have logged, merged in the order of time, one line an event.

Memory is bounded: events come page by page, and one of each function is held to compare. Following remembers the events of its last look
alone, for a later look repeats them.
"""

import heapq
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .aws import Aws, code
from .told import Refused

POLL_SECONDS = 2.0
# An event can be read some seconds after others that are younger: each look begins so much before the end of the last.
OVERLAP_MS = 15_000
SPANS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Event:
    at_ms: int
    function: str
    id: str
    text: str

    def line(self) -> str:
        at = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = " ".join(self.text.split("\n")).rstrip()
        return f"{at}  {self.function:<14}  {text}"


def span_ms(text: str) -> int:
    """A span such as `10m` in milliseconds."""
    told = re.fullmatch(r"([1-9]\d{0,5})([smhd])", text)
    if not told:
        raise ValueError(f"{text!r} is no span such as 90s, 10m, 2h or 1d")
    return int(told[1]) * SPANS[told[2]] * 1000


def events(aws: Aws, names: dict[str, str], since_ms: int, group: str | None = None) -> Iterator[Event]:
    """What the functions have logged since then, in the order of time."""
    each = [_of_one(aws, function, name, since_ms) for function, name in names.items()]
    for event in heapq.merge(*each, key=lambda event: (event.at_ms, event.function)):
        if group is None or about(event.text, group):
            yield event


def follow(aws: Aws, names: dict[str, str], since_ms: int, group: str | None, poll_seconds: float = POLL_SECONDS) -> Iterator[Event]:
    """The same without an end, each event once."""
    latest, told = since_ms, {}
    while True:
        for event in events(aws, names, max(since_ms, latest - OVERLAP_MS), group):
            if event.id not in told:
                told[event.id] = event.at_ms
                latest = max(latest, event.at_ms)
                yield event
        told = {one: at_ms for one, at_ms in told.items() if at_ms >= latest - OVERLAP_MS}
        time.sleep(poll_seconds)


def about(text: str, group: str) -> bool:
    """Whether a line is about a group: as a field of a line, of JSON, or as a dimension of a metric."""
    return re.search(rf'(?i)\bgroup"?\s*[=:]\s*"?{re.escape(group)}(?![\w.-])', text) is not None


def _of_one(aws: Aws, function: str, name: str, since_ms: int) -> Iterator[Event]:
    more = {}
    while True:
        try:
            page = aws.logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", startTime=since_ms, **more)
        except Exception as error:
            if code(error) == "ResourceNotFoundException":
                raise Refused(f"there is no log group /aws/lambda/{name}") from error
            raise
        for event in page.get("events", []):
            at = event["timestamp"]
            yield Event(at, function, event.get("eventId") or f"{at}-{event.get('logStreamName')}-{event['message']}", event["message"])
        # A page may be empty and not the last.
        if not page.get("nextToken") or page["nextToken"] == more.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}
