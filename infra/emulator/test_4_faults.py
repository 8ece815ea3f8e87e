"""What goes wrong between the functions and AWS. A member is lost during each fault, so that there is something to do; when the fault has passed,
the group is whole, and the ledger shows that nothing was done twice or to the wrong instance."""

from .aws import now
from .ec2 import ZONES
from .step import GROUP, OTHER, Step, say
from .test_3_members import LEASE_SECONDS

SIZE = 2
# Three in a row: as often as an SDK tries by itself.
FAILING = {"sequence": {"fail": 3, "pass": 3}}
INSIDE_EC2 = {"error": {"code": "InternalError", "status": 500}}
INSIDE_DYNAMODB = {"error": {"code": "InternalServerError", "status": 500}}


class Test4Faults(Step):
    def lose(self, zone: str | None = None) -> str:
        """A member's instance ends, and nobody of ours has ended it."""
        members = self.until_settled(SIZE)
        zones = {one["id"]: one["zone"] for one in self.ec2.ledger()["instances"]}
        victim = next((one for one in members if zone in (None, zones[one])), members[0])
        self.ec2.ask("POST", f"instances/{victim}", {"deed": "terminate"})
        return victim

    def mended(self, victim: str) -> None:
        def whole() -> bool:
            members = self.settled(SIZE)
            return bool(members) and victim not in members

        self.until("the group is whole again", whole)
        self.check_ledger()

    def broken(self, service: str, least: int = 1) -> None:
        """Waits until so many calls have been broken, and lets the others pass."""
        proxy = self.world.proxies[service]
        self.until(f"{least} broken calls of {service}", lambda: proxy.broken() >= least)
        say(f"{proxy.broken()} calls of {service} were broken")
        proxy.passes()

    def tearDown(self) -> None:
        for proxy in self.world.proxies.values():
            proxy.passes()
        self.ec2.remove_rules()

    def test_01_throttled_tables(self):
        # Five in a row: what the SDK tries again by itself is not enough.
        rule = {"service": "dynamodb", "sequence": {"fail": 5, "pass": 3}, "error": {"code": "ProvisionedThroughputExceededException"}}
        self.world.proxies["dynamodb"].breaks(rule)
        victim = self.lose()
        self.broken("dynamodb", 40)
        self.mended(victim)

    def test_02_no_capacity_in_one_zone(self):
        members = self.until_settled(SIZE)
        zones = {one["id"]: one["zone"] for one in self.ec2.ledger()["instances"]}
        zone = zones[members[0]]
        rule = {
            "service": "ec2", "operation": "RunInstances", "body": f"\"Placement.AvailabilityZone\" == '{zone}'",
            "error": {"code": "InsufficientInstanceCapacity", "status": 500},
        }
        self.world.proxies["ec2"].breaks(rule)
        victim = self.lose(zone)
        self.broken("ec2")
        self.world.proxies["ec2"].breaks(rule)
        self.mended(victim)
        [new] = [one for one in self.settled(SIZE) if one not in members]
        placed = {one["id"]: one["zone"] for one in self.ec2.ledger()["instances"]}[new]
        self.assertNotEqual(placed, zone)
        self.assertIn(placed, ZONES)

    def test_03_launches_are_throttled(self):
        rule = {"service": "ec2", "operation": "RunInstances", "times": 2, "error": {"code": "RequestLimitExceeded", "status": 503}}
        self.world.proxies["ec2"].breaks(rule)
        victim = self.lose()
        self.broken("ec2", 2)
        self.mended(victim)

    def test_04_ec2_fails_inside(self):
        self.world.proxies["ec2"].breaks({"service": "ec2", "operation": "DescribeInstances", **FAILING, **INSIDE_EC2})
        victim = self.lose()
        self.broken("ec2", 3)
        self.mended(victim)

    def test_05_dynamodb_fails_inside(self):
        self.world.proxies["dynamodb"].breaks({"service": "dynamodb", **FAILING, **INSIDE_DYNAMODB})
        victim = self.lose()
        self.broken("dynamodb", 12)
        self.mended(victim)

    def test_06_everything_is_slow(self):
        slow = {"latency": {"min": 300, "max": 900}}
        self.world.proxies["dynamodb"].breaks({"service": "dynamodb", **slow})
        self.world.proxies["ec2"].breaks({"service": "ec2", **slow})
        victim = self.lose()
        self.broken("dynamodb", 30)
        self.broken("ec2", 3)
        self.mended(victim)

    def test_07_answers_are_cut_short(self):
        """Of calls that read. Whose changing call has no answer cannot know what it has done, and waits until its lease ends: as a step below."""
        cut = {"response": {"truncate_frac": 0.5}, **FAILING}
        self.world.proxies["ec2"].breaks({"service": "ec2", "operation": "DescribeInstances", **cut})
        victim = self.lose()
        self.broken("ec2", 3)
        self.mended(victim)
        self.world.proxies["dynamodb"].breaks(*({"service": "dynamodb", "operation": read, **cut} for read in ("GetItem", "Query")))
        victim = self.lose()
        self.broken("dynamodb", 6)
        self.mended(victim)

    def test_08_what_the_killed_controller_had_launched_is_found_by_its_token(self):
        self.until("the lease has ended", lambda: now() > self.shared.broken_off + LEASE_SECONDS, LEASE_SECONDS + 10)
        [member] = self.until_settled(1, OTHER)
        launches = [one for one in self.ec2.ledger()["instances"] if one["tags"].get("muster:group") == OTHER]
        self.assertEqual([one["id"] for one in launches], [member])
        again = [one for one in self.ec2.ledger()["calls"] if one["action"] == "RunInstances" and one["token"] == launches[0]["token"]]
        self.assertGreaterEqual(len(again), 2, "the launch was tried again, with its token")
        self.check_ledger()

    def test_09_the_other_group_is_removed_and_the_first_is_untouched(self):
        before = self.until_settled(SIZE)
        self.world.remove_group(OTHER)
        self.assertEqual(self.settled(SIZE), before)
        sweeps = len(self.tables.sweeps(GROUP))
        self.until("sweeps go on", lambda: len(self.tables.sweeps(GROUP)) >= sweeps + 2)
        self.assertEqual(self.until_settled(SIZE), before)
        self.check_ledger()

    def test_10_the_foreign_instance_was_never_touched(self):
        running = {one["id"] for one in self.ec2.alive()}
        self.assertLessEqual(set(self.shared.foreign), running)
        self.check_ledger()
