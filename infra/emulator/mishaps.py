"""What a scenario has befall the agents. Their instances run on."""

from .ec2 import Ec2
from .scenario import Event

DEEDS = {"freeze": "stop", "thaw": "continue", "kill": "kill"}


class Mishaps:
    def __init__(self, ec2: Ec2, group: str, events: list[Event]):
        self._ec2 = ec2
        self._group = group
        self._coming = sorted(events, key=lambda event: event.at)
        # When who is to go on.
        self._thaws: list[tuple[float, str]] = []

    def befall(self, at: float) -> list[str]:
        """Does what has come due, and says what it was."""
        due = [one for one in self._thaws if one[0] <= at]
        self._thaws = [one for one in self._thaws if one[0] > at]
        for _, instance in due:
            self._ec2.tell_agent(instance, "continue")
        told = []
        while self._coming and self._coming[0].at <= at:
            event = self._coming.pop(0)
            oldest = [one["id"] for one in self._ec2.alive({"muster:group": self._group})][: event.agents]
            for instance in oldest:
                self._ec2.tell_agent(instance, DEEDS[event.deed])
            if event.deed == "freeze" and event.lasts:
                self._thaws += [(at + event.lasts, instance) for instance in oldest]
            told.append(f"{event.deed}: {', '.join(oldest)}")
        return told
