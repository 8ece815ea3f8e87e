"""New code and old: what a plain deployment of a function changes, and what a rollback does."""

import os
import shutil
from pathlib import Path
from unittest import mock

from tests import plain_deploy

from .step import FUNCTIONS, GROUP, MAX, Step


class Test2Update(Step):
    def test_01_a_plain_cargo_lambda_deploy_updates_the_function_and_nothing_else(self):
        before = {name: self.live(name) for name in FUNCTIONS}
        changed = self.world.state / "changed"
        for function in FUNCTIONS:
            folder = changed / function
            folder.mkdir(parents=True)
            shutil.copy2(self.shared.binaries.bootstraps / function / "bootstrap", folder)
            # Other code to Lambda, the same program to Linux.
            with (folder / "bootstrap").open("ab") as bootstrap:
                bootstrap.write(b"\0")
        sweeps = len(self.tables.sweeps(GROUP))
        for function in FUNCTIONS:
            with mock.patch.dict(os.environ, self.world.environment()):
                tool = Path(shutil.which("cargo-lambda"))
                found = plain_deploy.problems(self.world.aws.client("lambda"), tool, changed, self.world.aws.url, function)
            self.assertEqual(found, [], function)
            self.assertNotEqual(self.live(function)["CodeSha256"], before[function]["CodeSha256"])
            self.assertEqual(self.live(function)["Environment"], before[function]["Environment"])
        self.until("sweeps go on", lambda: len(self.tables.sweeps(GROUP)) >= sweeps + 3)

    def test_02_a_rollback_moves_the_alias_back(self):
        before = {name: self.live(name) for name in FUNCTIONS}
        self.world.operate("rollback")
        for function in FUNCTIONS:
            self.assertLess(int(self.live(function)["Version"]), int(before[function]["Version"]))
        self.until_settled(MAX)

    def live(self, function: str) -> dict:
        return self.world.aws.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
