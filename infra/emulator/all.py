"""Runs all tests on one world, and sums up in the words of cargo's, which CI counts."""

import argparse
import signal
import time
import unittest

from . import test_0_ledger, test_0_scenario, test_1_life, test_2_update, test_3_members, test_4_faults, test_5_end
from .build import found
from .step import Shared, Step

MODULES = (test_0_ledger, test_0_scenario, test_1_life, test_2_update, test_3_members, test_4_faults, test_5_end)
# More than twice what it takes. What does not come within it never will.
LONGEST_SECONDS = 20 * 60


class Result(unittest.TextTestResult):
    """Tells with each failure what the functions and our EC2 have to say of it, and how long each step took."""

    def getDescription(self, test) -> str:
        return test.id().rpartition(".")[2]

    def startTest(self, test) -> None:
        self._began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test) -> None:
        super().addSuccess(test)
        self.stream.writeln(f"    {time.monotonic() - self._began:.1f} s")

    def addFailure(self, test, error) -> None:
        super().addFailure(test, error)
        self._tell(test, self.failures)

    def addError(self, test, error) -> None:
        super().addError(test, error)
        self._tell(test, self.errors)

    def _tell(self, test, failures: list) -> None:
        self.stream.writeln(failures[-1][1])
        if isinstance(test, Step):
            self.stream.writeln(test.story())


def test(arguments: argparse.Namespace) -> int:
    binaries = found(arguments.tools, arguments.bootstraps)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, give_up)
    signal.alarm(LONGEST_SECONDS)
    began = time.monotonic()
    Step.shared = Shared(binaries)
    try:
        return passed(began)
    finally:
        Step.shared.end()


def passed(began: float) -> int:
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromModule(module) for module in MODULES)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors)
    word = "ok" if result.wasSuccessful() else "FAILED"
    took = time.monotonic() - began
    print(f"test result: {word}. {result.testsRun - failed} passed; {failed} failed; 0 ignored; finished in {took:.0f}s", flush=True)
    return 0 if result.wasSuccessful() else 1


def give_up(number: int, _: object) -> None:
    signal.alarm(0)
    # What unittest does not take for a failure of one test.
    raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")
