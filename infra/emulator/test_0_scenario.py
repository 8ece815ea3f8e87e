"""Scenarios are those of `muster up`, at another pace."""

import tempfile
import unittest

from .processes import Trouble
from .scenario import Scenario


class Test0Scenario(unittest.TestCase):
    def test_a_demand_steps_ramps_and_stays_at_its_pace(self):
        # As the scenarios' own tests have it, in seconds twice as long.
        phases = [("10s", 50, "false"), ("10s", 150, "true"), ("5s", 20, "false")]
        text = "".join(f'[[phase]]\nfor = "{lasts}"\ndemand = {demand}\nramp = {ramp}\n' for lasts, demand, ramp in phases)
        scenario = played(text)
        self.assertEqual([scenario.demand(at) for at in (0, 18, 20, 30, 40, 48, 50, 2000)], [50, 50, 50, 100, 20, 20, 20, 20])

    def test_every_scenario_there_is_can_be_played(self):
        for name in ("calm", "surge", "blackout"):
            self.assertGreater(Scenario(name, 2.0).demand(0), 0)

    def test_what_is_no_scenario_is_refused(self):
        for text in ("", "[[phase]]\nfor = 10\ndemand = 1", '[[phase]]\nfor = "10"\ndemand = 1', "no TOML"):
            with self.assertRaises(Trouble):
                played(text)
        with self.assertRaises(Trouble):
            Scenario("storm", 1.0)


def played(text: str) -> Scenario:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        return Scenario(file.name, 2.0)
