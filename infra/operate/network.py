"""What the subnets of MonitorS say of their network, so that nobody has to look it up and mistype it."""

import ipaddress
from dataclasses import dataclass

from .aws import Aws, code, message
from .told import Refused


@dataclass
class Network:
    """The network that some subnets are in."""

    vpc: str
    # The VPC's ranges, the first one first, and the subnets' own.
    ranges: list[str]
    subnet_ranges: list[str]
    # The route tables of the subnets, and those of them from which a gateway endpoint leads to DynamoDB already.
    route_tables: list[str]
    led: list[str]

    def agent_range(self) -> str:
        """The addresses at which agents are, as far as that can be known: the one range of the VPC that holds all these subnets."""
        for candidate in self.ranges:
            whole = ipaddress.ip_network(candidate)
            if all(ipaddress.ip_network(one).subnet_of(whole) for one in self.subnet_ranges):
                return candidate
        raise Refused(f"--agent-range must be given: {self.vpc} has the ranges {', '.join(self.ranges)}, and none holds all the subnets")

    def without_a_way(self) -> list[str]:
        """Route tables from which no gateway endpoint leads to DynamoDB."""
        return [one for one in self.route_tables if one not in self.led]


def look(aws: Aws, subnets: list[str]) -> Network:
    """Finds out where subnets are. Refuses those of several VPCs, and what is none."""
    try:
        described = aws.ec2.describe_subnets(SubnetIds=subnets)["Subnets"]
    except Exception as error:
        if code(error).startswith("InvalidSubnetI"):
            raise Refused(f"--subnets: {message(error)}") from error
        raise
    missing = sorted(set(subnets) - {subnet["SubnetId"] for subnet in described})
    if missing:
        raise Refused(f"--subnets: there is no {', '.join(missing)} in {aws.region}")
    vpcs = sorted({subnet["VpcId"] for subnet in described})
    if len(vpcs) != 1:
        raise Refused(f"--subnets must be of one VPC, and these are of {', '.join(vpcs)}")
    [vpc] = vpcs
    return Network(
        vpc=vpc,
        ranges=_ranges(aws, vpc),
        subnet_ranges=[subnet["CidrBlock"] for subnet in described],
        route_tables=_route_tables(aws, vpc, subnets),
        led=_led(aws, vpc),
    )


def _ranges(aws: Aws, vpc: str) -> list[str]:
    [described] = aws.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    others = [
        one["CidrBlock"]
        for one in described.get("CidrBlockAssociationSet", [])
        if one.get("CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    return list(dict.fromkeys([described["CidrBlock"], *others]))


def _route_tables(aws: Aws, vpc: str, subnets: list[str]) -> list[str]:
    """The tables that the subnets are associated with; the VPC's main one for those that are with none."""
    tables = aws.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    by_subnet, main = {}, None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("Main"):
                main = table["RouteTableId"]
            elif "SubnetId" in association:
                by_subnet[association["SubnetId"]] = table["RouteTableId"]
    found = [by_subnet.get(subnet, main) for subnet in subnets]
    return sorted({one for one in found if one})


def _led(aws: Aws, vpc: str) -> list[str]:
    service = f"com.amazonaws.{aws.region}.dynamodb"
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [service]}]
    endpoints = aws.ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    led = set()
    for endpoint in endpoints:
        # An emulator may not filter, and an interface endpoint has no route tables.
        ours = endpoint.get("VpcId") == vpc and endpoint.get("ServiceName") == service
        if ours and endpoint.get("State", "available").lower() in ("available", "pending", "pendingacceptance"):
            led |= set(endpoint.get("RouteTableIds", []))
    return sorted(led)
