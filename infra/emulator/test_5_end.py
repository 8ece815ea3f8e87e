"""A stack's end: what its functions have logged is read, and then it is taken down."""

import json

from .build import call
from .processes import Trouble
from .step import FUNCTIONS, GROUP, Step
from .world import INFRA


class Test5End(Step):
    def test_01_the_log_of_the_functions_is_one(self):
        lines = self.world.operate("logs", "--since", "1h", "--group", GROUP).splitlines()
        self.assertEqual({line.split()[1] for line in lines}, set(FUNCTIONS))
        self.assertEqual(lines, sorted(lines, key=lambda line: line.split()[0]))

    def test_02_a_stack_whose_groups_have_members_is_not_taken_down(self):
        members = self.until_settled(2)
        with self.assertRaisesRegex(Trouble, rf"ended with 2:\s(.|\n)*{GROUP} \(2\)"):
            self.destroy()
        self.assertEqual(self.until_settled(2), members)
        self.check_ledger()

    def test_03_by_force_everybody_is_drained_first_and_the_tables_stay(self):
        # The one that was launched by hand bears the group's tags and is in no record: nobody of ours ends it, and it would hold the removal up.
        self.ec2.client.delete_tags(Resources=self.shared.foreign, Tags=[{"Key": "muster:group"}])
        gone = json.loads(self.destroy("--force", "--json"))
        self.shared.deployed = False
        self.assertEqual({one["id"] for one in self.ec2.alive()}, set(self.shared.foreign))
        self.check_ledger()
        self.assertEqual({one for one in gone["stays"] if one.startswith("table ")}, {f"table emulator-{one}" for one in ("control", "sweeps", "activity")})
        stacks = self.world.aws.client("cloudformation").list_stacks()["StackSummaries"]
        self.assertEqual([one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"], [])
        self.assertEqual(self.world.aws.client("lambda").list_functions()["Functions"], [])

    def destroy(self, *words: str) -> str:
        """As an operator does. Groups are of our EC2, and network interfaces of ministack's: one endpoint variable cannot say both."""
        muster = self.world.state / "muster-there"
        muster.write_text(f'#!/bin/sh\nAWS_ENDPOINT_URL_EC2={self.ec2.url} exec {self.world.command} "$@"\n')
        muster.chmod(0o755)
        environment = self.world.aws.environment() | {"MUSTER": str(muster)}
        return call([INFRA / "operate/run", "destroy", "--stack", self.world.stack, *words], environment, seconds=240.0)
