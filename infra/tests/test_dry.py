"""`deploy --dry`, and what a plain `cargo lambda deploy` finds in the manifests."""

import os
import shutil
import subprocess
import sys
import tomllib
import unittest
from pathlib import Path

from operate import cargo, dry, settings
from operate.deploy import Request
from operate.told import Failed
from test_deploy import Deploying
from test_templates import FUNCTIONS, INFRA
from world import Silent


class Dry(Deploying):
    def setUp(self):
        super().setUp()
        self.infra, self.check = INFRA, Path("/bin/true")
        self.cargo.dry = self.answer
        self.zip_bytes = 3_000_000

    def copy(self):
        """The templates' own check, as it is, on a copy of the repository in which something can be broken."""
        self.infra = self.folder / "copy/infra"
        shutil.copytree(INFRA, self.infra, ignore=shutil.ignore_patterns("__pycache__"))
        for crate in ("aws", "control", "controller-asg", "dashboard", "lambda", "monitor-s", "web"):
            shutil.copytree(FUNCTIONS / crate / "src", self.infra.parent / "functions" / crate / "src")
        (self.infra.parent / "agent/src").mkdir(parents=True)
        shutil.copy(FUNCTIONS.parent / "agent/src/config.rs", self.infra.parent / "agent/src")
        # As infra/tests/run, in the environment that is there already.
        self.check = self.folder / "check"
        self.check.write_text(f'#!/bin/sh\nexec {sys.executable} -B {self.infra}/tests/check.py\n')
        self.check.chmod(0o755)

    def answer(self, wanted) -> dict:
        zipped = self.folder / f"{wanted.function}.zip"
        with zipped.open("wb") as file:
            file.truncate(self.zip_bytes)
        config = {"role": wanted.role, "timeout": wanted.timeout_seconds, "memory": wanted.memory_mb, "enable_function_url": False}
        if wanted.subnets:
            config["vpc"] = {"subnet_ids": list(wanted.subnets), "security_group_ids": list(wanted.security_groups)}
        return {
            "name": wanted.function, "path": str(zipped), "arch": "x86_64", "files": ["bootstrap"],
            "tags": f"muster:stack={wanted.stack}", "config": config,
        }

    def dry(self):
        request = Request("muster", bootstraps=str(self.folder))
        return dry.dry(request, {}, Silent(), self.infra, self.check)

    def broken(self, file: str, old: str, new: str, *told: str):
        self.copy()
        path = self.infra / file
        self.assertIn(old, path.read_text(), "the case is out of date")
        path.write_text(path.read_text().replace(old, new, 1))
        with self.assertRaises(Failed) as failed:
            self.dry()
        for one in told:
            self.assertIn(one, str(failed.exception))

    def test_it_passes_and_says_what_would_be_uploaded(self):
        checked = self.dry()
        self.assertEqual([(one.function, one.zip_bytes, one.architecture) for one in checked], [(name, 3_000_000, "x86_64") for name in cargo.FUNCTIONS])
        self.assertEqual(self.world.calls, [])

    def test_a_broken_template_is_told_by_file_and_name(self):
        self.broken("triggers.yaml", "      BatchSize: 10", "      BatchSise: 10", "triggers.yaml", "BatchSise")

    def test_a_wrong_variable_is_told_by_file_and_name(self):
        self.broken("functions.json", '"MUSTER_LEASE_SECONDS"', '"MUSTER_LEASE_SECOND"', "functions.json: controller-asg: MUSTER_LEASE_SECOND is set")

    def test_a_zip_that_is_too_large(self):
        self.zip_bytes = dry.LARGEST_ZIP_BYTES + 1
        with self.assertRaisesRegex(Failed, "monitor-s: its zip has 4000001 bytes"):
            self.dry()

    def test_what_cargo_lambda_would_do_otherwise_is_told(self):
        answer = self.answer
        self.cargo.dry = lambda wanted: {**answer(wanted), "files": ["bootstrap", "secret"]}
        with self.assertRaisesRegex(Failed, "monitor-s: what is in the zip would be"):
            self.dry()

    def test_stand_ins_are_all_that_functions_json_names(self):
        outputs = dry.stand_ins(Request("muster"))
        for function in cargo.FUNCTIONS:
            settings.settings(function, outputs, {}, ["subnet-a"])


class Manifests(unittest.TestCase):
    def test_a_plain_deployment_moves_the_alias_and_overwrites_nothing(self):
        for function in cargo.FUNCTIONS:
            manifest = tomllib.loads((FUNCTIONS / function / "Cargo.toml").read_text())
            self.assertEqual(manifest["package"]["metadata"]["lambda"], {"deploy": {"alias": settings.ALIAS}}, function)

    def test_nothing_else_tells_cargo_lambda_anything(self):
        root = INFRA.parent
        self.assertNotIn("lambda", tomllib.loads((root / "Cargo.toml").read_text())["workspace"].get("metadata", {}))
        self.assertEqual([path for path in (root / "CargoLambda.toml", root / "functions/CargoLambda.toml") if path.exists()], [])


class Make(unittest.TestCase):
    def said(self, *words: str) -> str:
        # As from a shell, whatever make runs these tests with which variables.
        command = ["make", "--no-print-directory", *words]
        alone = {"PATH": os.environ["PATH"]}
        return subprocess.run(command, cwd=INFRA.parent, env=alone, capture_output=True, text=True, check=True).stdout

    def test_an_operators_targets_are_there_with_their_help(self):
        told = self.said("help")
        for target in ("build-functions", "build-muster", "deploy", "destroy", "rollback", "logs"):
            self.assertRegex(told, rf"(?m)^{target} +\S")

    def test_what_is_said_is_passed_on_and_what_is_not_is_left_out(self):
        told = " ".join(self.said("-n", "deploy", "STACK=prod", "SUBNETS=subnet-a,subnet-b", "GROUP=web", "IMAGE=ami-1", "MUSTER=/m", "ARGS=--log-days 7").split())
        self.assertIn("run build", told)
        self.assertIn("deploy --stack 'prod' --subnets 'subnet-a,subnet-b' --group 'web' \\ --image 'ami-1' --log-days 7", told)
        self.assertNotIn("package muster", told)
        self.assertIn("rollback --stack 'prod' --function 'monitor-s' --version '3'", " ".join(self.said("-n", "rollback", "STACK=prod", "FUNCTION=monitor-s", "VERSION=3").split()))
        self.assertIn("destroy --stack 'prod' --force", " ".join(self.said("-n", "destroy", "STACK=prod", "FORCE=1", "MUSTER=/m").split()))

    def test_a_dry_deployment_builds_the_functions_and_no_muster(self):
        told = self.said("-n", "deploy", "DRY=1", "GROUP=web", "MUSTER=")
        self.assertIn("run build", told)
        self.assertIn("--dry", told)
        self.assertNotIn("package muster", told)

    def test_a_group_needs_muster(self):
        self.assertIn("--package muster --features aws", self.said("-n", "deploy", "STACK=prod", "GROUP=web", "MUSTER="))
