"""The bill: its arithmetic, what it takes from the sources, and that README shows what it says."""

import json
import re
import subprocess
import sys
import unittest
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import calls
from rules import Stack
from test_templates import FUNCTIONS, INFRA

SCRIPT = INFRA / "costs"


def loaded():
    loader = SourceFileLoader("costs", str(SCRIPT))
    module = module_from_spec(spec_from_loader("costs", loader))
    # A dataclass asks where it is.
    sys.modules["costs"] = module
    loader.exec_module(module)
    return module


COSTS = loaded()


class Costs(unittest.TestCase):
    def run_script(self, *words: str) -> str:
        return subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=True).stdout

    def test_readme_shows_what_the_script_prints(self):
        self.assertIn(self.run_script("--markdown").strip(), (INFRA.parent / "README.md").read_text())

    def test_lines_sum_up(self):
        told = json.loads(self.run_script("--members", "50", "--interval", "10s", "--json"))
        self.assertAlmostEqual(sum(line["dollars"] for line in told["lines"]), told["dollars_a_month"], 1)
        for line in told["lines"]:
            self.assertAlmostEqual(line["amount"] * line["price"], line["dollars"], 2)
            self.assertRegex(line["source"], r"^https://aws\.amazon\.com/")

    def test_a_case_by_hand(self):
        # Ten members every 10 s: 4,300 bytes of sweep, 10,200 of decision, 1,100 of HEAD: 1 + 5 + 2 x (2 + 10) units.
        writes, _ = COSTS.units(10, 10)
        self.assertEqual(writes, 1 + 5 + 2 * (2 + 10))
        [written] = [one for one in COSTS.costs(10, 10, "x86_64") if one.what == "writes"]
        self.assertAlmostEqual(written.dollars, 262_800 * 30 * 0.625e-6, 6)

    def test_nobody_who_looks_costs_nothing(self):
        told = {hours: json.loads(self.run_script("--viewer-hours", hours, "--json")) for hours in ("0", "20", "40")}
        by_what = {hours: {line["what"]: line["amount"] for line in one["lines"]} for hours, one in told.items()}
        for what in ("Dashboard", "reads of the dashboard"):
            self.assertEqual(by_what["0"][what], 0)
            self.assertAlmostEqual(by_what["40"][what], 2 * by_what["20"][what], 3)
        # Four requests every five seconds of twenty hours, a tenth of a second each at half a gigabyte.
        self.assertAlmostEqual(by_what["20"]["Dashboard"], 20 * 720 * 4 * 0.1 * 0.5)

    def test_what_auto_knows_has_lines_of_its_own(self):
        # 12,000 bytes once a minute, in a transaction: 12 units that count twice; and 3 at each of two reads a sweep.
        for interval, sweeps in ((10, 262_800), (60, 43_800)):
            writes, reads = (one for one in COSTS.costs(10, interval, "x86_64") if one.what.startswith("what auto knows"))
            self.assertAlmostEqual(writes.dollars, 43_800 * 24 * 0.625e-6, 6)
            self.assertAlmostEqual(reads.dollars, sweeps * 6 * 0.125e-6, 6)
        source = (FUNCTIONS / "core/src/auto/mod.rs").read_text()
        self.assertIn(f"STORED_EVERY: Duration = Duration::from_secs({COSTS.LEARNT_SECONDS});", source)

    def test_packing_and_shards(self):
        self.assertLess(COSTS.units(51, 51)[0], COSTS.units(50, 50)[0])
        one, two = (sum(c.amount for c in COSTS.costs(n, 10, "arm64", 0) if c.what == "requests") for n in (500, 501))
        self.assertGreater(two, 1.9 * one)

    def test_detailed_monitoring_has_its_tiers(self):
        self.assertAlmostEqual(COSTS.detailed_monitoring(1), 2.10)
        self.assertAlmostEqual(COSTS.detailed_monitoring(1_000), 2_100)
        self.assertAlmostEqual(COSTS.detailed_monitoring(2_000), 3_000 + 400)

    def test_it_counts_what_is_deployed(self):
        stack = Stack(INFRA)
        memory = {name: one["memory_mb"] / 1024 for name, one in stack.functions.items()}
        self.assertEqual(memory, {"monitor-s": COSTS.MEMORY_GB, "controller-asg": COSTS.MEMORY_GB, "dashboard": COSTS.DASHBOARD_GB})
        # IgnoredRecords is the stack's, and seldom there.
        self.assertEqual(len(calls.metrics(FUNCTIONS) - {"IgnoredRecords"}), COSTS.METRICS)
        alarms = sum(len(template.resources("AWS::CloudWatch::Alarm")) for template in (stack.group, stack.triggers))
        self.assertEqual(alarms, COSTS.ALARMS)
        self.assertEqual(stack.foundation.parameters["LogDays"], 30 * COSTS.LOG_MONTHS)
        row = (FUNCTIONS / "aws/src/tables/row.rs").read_text()
        self.assertIn(f"const READABLE: usize = {COSTS.READABLE};", row)
        self.assertRegex(row, rf"SWEEPS_KEPT: Duration = Duration::from_secs\({COSTS.SWEEPS_DAYS} \* 24 \* 3600\)")
        self.assertIn(f"const SNAPSHOT_MEMBERS: usize = {COSTS.READABLE};", (FUNCTIONS / "control/src/activity.rs").read_text())

    def test_ranges(self):
        for words in (("--members", "0"), ("--members", "x"), ("--interval", "10"), ("--interval", "2h"), ("--interval", "0s"), ("--viewer-hours", "-1")):
            run = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 2)
            self.assertRegex(run.stderr, re.escape(words[0]))
