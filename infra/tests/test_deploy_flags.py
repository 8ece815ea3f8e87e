"""What `cargo lambda deploy` is called with."""

import json
import os
import subprocess
import unittest

from rules import Stack
from test_templates import INFRA


def said(function: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    outputs = [{"OutputKey": key, "OutputValue": str(value)} for key, value in Stack(INFRA).foundation.outputs().items()]
    command = [INFRA / "deploy-flags", function, *arguments]
    told = json.dumps({"Stacks": [{"Outputs": outputs}]})
    ours = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, input=told, env=ours, capture_output=True, text=True, check=False)


class DeployFlags(unittest.TestCase):
    maxDiff = None

    def test_monitor_s_goes_into_the_vpc(self):
        role = "arn:aws:iam::111122223333:role/muster/prod/MonitorRole"
        expected = ["--alias", "live", "--binary-name", "monitor-s", "--role", role, "--timeout", "180", "--memory", "256"]
        expected += ["--tag", "muster:stack=prod", "--subnet-ids", "subnet-a,subnet-b"]
        expected += ["--security-group-ids", "MonitorSecurityGroup.GroupId", "--env-var", "MUSTER_STACK=prod", "monitor-s"]
        self.assertEqual(said("monitor-s", "--subnets", "subnet-a,subnet-b").stdout.splitlines(), expected)

    def test_monitor_s_is_not_deployed_without_subnets(self):
        refused = said("monitor-s")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--subnets", refused.stderr)

    def test_what_is_empty_is_left_out(self):
        lines = said("controller-asg", MUSTER_WEBHOOK_URL="https://example.com/hook").stdout.splitlines()
        given = [value for flag, value in zip(lines, lines[1:]) if flag == "--env-var"]
        expected = ["MUSTER_STACK=prod", "MUSTER_AGENT_PORT=7717", "MUSTER_LEASE_SECONDS=190", "MUSTER_WEBHOOK_URL=https://example.com/hook"]
        self.assertEqual(given, expected)
        self.assertNotIn("--subnet-ids", lines)
