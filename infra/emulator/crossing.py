"""How long it takes from the load crossing the threshold to the launch."""

from .aws import now, seconds
from .ec2 import Ec2


class Crossing:
    """Remembers when the demand came to ask more of the running members than the threshold, and looks for the launch after that.

    The demand counts, not what the agents have measured: their loads follow it by at most ten points a second, and the time that takes is a
    part of what is measured.
    """

    def __init__(self, ec2: Ec2, threshold: float):
        self._ec2 = ec2
        self._threshold = threshold
        # When the demand came to be above, and the last call before; none while it is not, or once its launch has come.
        self._crossed: tuple[float, int] | None = None
        self._above = False

    def set_demand(self, demand: float) -> None:
        ledger = self._ec2.ledger()
        running = sum(one["state"] == "running" for one in ledger["instances"])
        before, self._above = self._above, running > 0 and demand / running > self._threshold
        if self._above != before:
            self._crossed = (now(), ledger["calls_total"]) if self._above else None
        self._ec2.set_demand(demand)

    def look(self) -> float | None:
        """The seconds of a crossing whose launch has come since the last look."""
        if self._crossed is None:
            return None
        at, last_call = self._crossed
        launches = [one for one in self._ec2.calls("RunInstances", last_call) if one["instances"]]
        if not launches:
            return None
        self._crossed = None
        return seconds(launches[0]["time"]) - at
