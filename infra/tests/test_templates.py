"""The templates as they are: what must hold of them holds, and cfn-lint finds nothing."""

import subprocess
import sys
import unittest
from pathlib import Path

from rules import TEMPLATES, problems

INFRA = Path(__file__).resolve().parent.parent
FUNCTIONS = INFRA.parent / "functions"


def linted(infra: Path, templates: tuple = TEMPLATES) -> str:
    """What cfn-lint says of templates; nothing, if there is nothing to say. It needs no account and no network."""
    command = [Path(sys.executable).with_name("cfn-lint"), "--non-zero-exit-code", "warning", "--format", "parseable"]
    run = subprocess.run([*command, *templates], cwd=infra, capture_output=True, text=True, check=False)
    return (run.stdout + run.stderr).strip() if run.returncode or run.stdout else ""


class Templates(unittest.TestCase):
    maxDiff = None

    def test_every_rule_holds(self):
        self.assertEqual(problems(INFRA, FUNCTIONS), [])

    def test_cfn_lint_finds_nothing(self):
        self.assertEqual(linted(INFRA), "")
