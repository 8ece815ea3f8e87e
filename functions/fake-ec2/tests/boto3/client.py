"""What boto3 makes of the fake EC2: AWS's own client, with its own shapes, paginators and waiters.

Takes the endpoint's URL; prints the names of what it has checked as a JSON list, or fails.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, WaiterError

URL = sys.argv[1]
IMAGE = "ami-0123456789abcdef0"
OTHER_IMAGE = "ami-0fedcba9876543210"
CHECKS = []


def client(**settings):
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "not-a-secret"}
    config = Config(retries={"total_max_attempts": 1}, **settings)
    return boto3.client("ec2", endpoint_url=URL, region_name="us-east-1", config=config, **keys)


EC2 = client()


def check(function):
    CHECKS.append(function)
    return function


def fake(path, body, method="POST"):
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}/_fake/{path}", data=data, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def refused(call, **parameters):
    """The code and the status that a call fails with."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        assert error.response["Error"]["Message"], error.response
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"not refused: {answer}")


def launch(**parameters):
    parameters = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1} | parameters
    return EC2.run_instances(**parameters)["Instances"]


def one(**parameters):
    (instance,) = launch(**parameters)
    return instance["InstanceId"]


def tagged(**tags):
    return [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def shown(**parameters):
    reservations = EC2.describe_instances(**parameters)["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def ids(**parameters):
    return [instance["InstanceId"] for instance in shown(**parameters)]


def wait(name, seconds=0.05, **parameters):
    EC2.get_waiter(name).wait(WaiterConfig={"Delay": seconds, "MaxAttempts": 400}, **parameters)


@check
def templates_have_versions_and_launch():
    made = EC2.create_launch_template(
        LaunchTemplateName="web",
        VersionDescription="first",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "t3.micro",
            "IamInstanceProfile": {"Name": "web"},
            "SecurityGroupIds": ["sg-0a", "sg-0b"],
            "UserData": "aGVsbG8=",
            "MetadataOptions": {"HttpTokens": "required"},
            "TagSpecifications": tagged(team="web"),
        },
    )["LaunchTemplate"]
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (1, 1), made
    template = made["LaunchTemplateId"]
    version = EC2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"ImageId": OTHER_IMAGE}
    )["LaunchTemplateVersion"]
    assert (version["VersionNumber"], version["DefaultVersion"]) == (2, False), version
    data = version["LaunchTemplateData"]
    assert (data["ImageId"], data["InstanceType"], data["SecurityGroupIds"]) == (OTHER_IMAGE, "t3.micro", ["sg-0a", "sg-0b"])
    assert data["IamInstanceProfile"] == {"Name": "web"} and data["TagSpecifications"] == tagged(team="web"), data

    def launched(version):
        (instance,) = EC2.run_instances(
            MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "web", "Version": version}
        )["Instances"]
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert tags["aws:ec2launchtemplate:id"] == template and tags["team"] == "web", tags
        return instance["ImageId"], tags["aws:ec2launchtemplate:version"]

    assert launched("$Default") == (IMAGE, "1")
    assert launched("$Latest") == (OTHER_IMAGE, "2")
    modified = EC2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="2")["LaunchTemplate"]
    assert modified["DefaultVersionNumber"] == 2, modified
    assert launched("$Default") == (OTHER_IMAGE, "2")
    (described,) = EC2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    assert described["DefaultVersionNumber"] == 2, described
    pages = EC2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateName="web", PaginationConfig={"PageSize": 1}
    )
    assert [v["VersionNumber"] for page in pages for v in page["LaunchTemplateVersions"]] == [2, 1]
    for version, code in [("3", "InvalidLaunchTemplateId.VersionNotFound"), ("x", "InvalidParameterValue")]:
        named = {"LaunchTemplateName": "web", "Version": version}
        assert refused(EC2.run_instances, MinCount=1, MaxCount=1, LaunchTemplate=named) == (code, 400)
    name = "InvalidLaunchTemplateName.NotFoundException"
    assert refused(EC2.describe_launch_templates, LaunchTemplateNames=["none"]) == (name, 400)


@check
def tokens_hold_in_their_zone():
    zone = lambda letter: {"AvailabilityZone": f"us-east-1{letter}"}
    first = one(ClientToken="token", Placement=zone("a"))
    assert one(ClientToken="token", Placement=zone("a")) == first
    assert one(ClientToken="token", Placement=zone("b")) != first
    mismatch = ("IdempotentParameterMismatch", 400)
    small = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "ClientToken": "token"}
    assert refused(EC2.run_instances, InstanceType="t3.small", Placement=zone("a"), **small) == mismatch
    EC2.terminate_instances(InstanceIds=[first])
    ended = ("IdempotentInstanceTerminated", 400)
    assert refused(EC2.run_instances, InstanceType="t3.micro", Placement=zone("a"), **small) == ended
    # boto3 makes a token of its own when none is given.
    assert one() != one()


@check
def instances_pass_through_their_states():
    instance = launch(ClientToken="states")[0]
    assert instance["State"] == {"Code": 0, "Name": "pending"} and instance["LaunchTime"].tzinfo, instance
    named = {"InstanceIds": [instance["InstanceId"]]}
    wait("instance_exists", **named)
    wait("instance_running", **named)
    (running,) = shown(**named)
    assert running["PrivateIpAddress"] == instance["PrivateIpAddress"] and running["ClientToken"] == "states", running
    wait("instance_status_ok", **named)
    (change,) = EC2.stop_instances(**named)["StoppingInstances"]
    assert (change["CurrentState"]["Name"], change["PreviousState"]["Name"]) == ("stopping", "running"), change
    wait("instance_stopped", **named)
    EC2.start_instances(**named)
    wait("instance_running", **named)
    (change,) = EC2.terminate_instances(**named)["TerminatingInstances"]
    assert (change["CurrentState"]["Name"], change["PreviousState"]["Name"]) == ("shutting-down", "running"), change
    try:
        wait("instance_running", **named)
    except WaiterError as error:
        assert "terminal failure" in str(error), error
    else:
        raise AssertionError("it runs again")
    wait("instance_terminated", **named)
    EC2.terminate_instances(**named)
    (ended,) = shown(**named)
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown", ended
    assert "PrivateIpAddress" not in ended, ended


@check
def pages_show_all_once():
    made = {i["InstanceId"] for _ in range(3) for i in launch(MaxCount=4, TagSpecifications=tagged(page="yes"))}
    chosen = [{"Name": "tag:page", "Values": ["yes"]}]
    pages = list(EC2.get_paginator("describe_instances").paginate(Filters=chosen, PaginationConfig={"PageSize": 5}))
    seen = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    assert len(pages) == 3 and len(seen) == 12 and set(seen) == made, (len(pages), seen)
    wait("instance_running", InstanceIds=sorted(made))
    statuses = EC2.get_paginator("describe_instance_status").paginate(PaginationConfig={"PageSize": 5})
    assert made <= {s["InstanceId"] for page in statuses for s in page["InstanceStatuses"]}
    assert refused(EC2.describe_instances, MaxResults=5, InstanceIds=sorted(made)) == ("InvalidParameterCombination", 400)
    assert refused(EC2.describe_instances, NextToken="made-up") == ("InvalidNextToken", 400)


@check
def filters_choose():
    web, app = one(TagSpecifications=tagged(group="web-1"), ClientToken="f-1"), one(TagSpecifications=tagged(group="app"))

    def chosen(**filters):
        return ids(Filters=[{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()])

    assert chosen(**{"tag:group": ["web-*"]}) == [web]
    assert chosen(**{"tag:group": ["we?-1", "app"]}) == [web, app]
    assert chosen(client_token=["f-1"]) == [web]
    assert chosen(tag_key=["group"], instance_id=[app, "i-0"]) == [app]
    EC2.terminate_instances(InstanceIds=[web])
    assert chosen(tag_key=["group"], instance_state_name=["shutting-down", "terminated"]) == [web]
    wrong = [{"Name": "colour", "Values": ["red"]}]
    assert refused(EC2.describe_instances, Filters=wrong) == ("InvalidParameterValue", 400)


@check
def tags_come_and_go():
    instance = one()
    tags = lambda: {tag["Key"]: tag["Value"] for tag in shown(InstanceIds=[instance])[0].get("Tags", [])}
    EC2.create_tags(Resources=[instance], Tags=[{"Key": "a", "Value": "1 & <2>"}, {"Key": "b", "Value": "é"}])
    assert tags() == {"a": "1 & <2>", "b": "é"}, tags()
    described = EC2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance]}])["Tags"]
    assert [(tag["Key"], tag["ResourceType"]) for tag in described] == [("a", "instance"), ("b", "instance")], described
    EC2.delete_tags(Resources=[instance], Tags=[{"Key": "a"}, {"Key": "b", "Value": "other"}])
    assert tags() == {"b": "é"}, tags()
    reserved = [{"Key": "aws:a", "Value": ""}]
    assert refused(EC2.create_tags, Resources=[instance], Tags=reserved) == ("InvalidParameterValue", 400)


@check
def dry_runs_do_nothing():
    instance = one()
    before = len(shown())
    small = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}
    assert refused(EC2.run_instances, DryRun=True, **small) == ("DryRunOperation", 412)
    assert refused(EC2.terminate_instances, DryRun=True, InstanceIds=[instance]) == ("DryRunOperation", 412)
    assert len(shown()) == before and shown(InstanceIds=[instance])[0]["State"]["Name"] in ("pending", "running")


@check
def places_are_described():
    zones = EC2.describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["us-east-1a", "us-east-1b", "us-east-1c"], zones
    (subnet,) = EC2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1c"]}])["Subnets"]
    (instance,) = launch(SubnetId=subnet["SubnetId"])
    assert instance["Placement"]["AvailabilityZone"] == "us-east-1c", instance
    assert refused(EC2.describe_subnets, SubnetIds=["subnet-0"]) == ("InvalidSubnetID.NotFound", 400)


@check
def refusals_have_ec2s_codes():
    small = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}
    cases = [
        (EC2.run_instances, {"MinCount": 1, "MaxCount": 1}, "MissingParameter"),
        (EC2.run_instances, small | {"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound"),
        (EC2.run_instances, small | {"Placement": {"AvailabilityZone": "mars-1a"}}, "InvalidParameterValue"),
        (EC2.run_instances, small | {"Ipv6AddressCount": 1}, "UnsupportedOperation"),
        (EC2.describe_instances, {"InstanceIds": ["i-00000000000000000"]}, "InvalidInstanceID.NotFound"),
        (EC2.terminate_instances, {"InstanceIds": ["i-00000000000000000"]}, "InvalidInstanceID.NotFound"),
        (EC2.terminate_instances, {"InstanceIds": ["web"]}, "InvalidInstanceID.Malformed"),
        (EC2.describe_images, {}, "InvalidAction"),
    ]
    for call, parameters, code in cases:
        assert refused(call, **parameters) == (code, 400), (parameters, code)


@check
def rules_bring_errors():
    small = {"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}
    cases = [("InsufficientInstanceCapacity", 500), ("RequestLimitExceeded", 503), ("UnauthorizedOperation", 403)]
    for code, status in cases:
        fake("rules", {"action": "RunInstances", "code": code, "times": 1})
        assert refused(EC2.run_instances, **small) == (code, status)
    fake("rules", {"action": "RunInstances", "code": "RequestLimitExceeded", "times": 2})
    patient = boto3.client(
        "ec2",
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="not-a-secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )
    assert patient.run_instances(**small)["ResponseMetadata"]["RetryAttempts"] == 2, "throttling is retried"
    fake("rules", {"action": "RunInstances", "no_answer": True, "after": True, "times": 1})
    lost = small | {"ClientToken": "lost"}
    try:
        EC2.run_instances(**lost)
    except ConnectionClosedError:
        pass
    else:
        raise AssertionError("there was an answer")
    found = ids(Filters=[{"Name": "client-token", "Values": ["lost"]}])
    assert len(found) == 1 and [i["InstanceId"] for i in EC2.run_instances(**lost)["Instances"]] == found


@check
def describing_lags():
    fake("settings", {"lag_ms": 600_000})
    instance = one(ClientToken="late")
    assert refused(EC2.describe_instances, InstanceIds=[instance]) == ("InvalidInstanceID.NotFound", 400)
    assert one(ClientToken="late") == instance
    EC2.terminate_instances(InstanceIds=[instance])
    fake("settings", {"lag_ms": 0})
    assert shown(InstanceIds=[instance])[0]["State"]["Name"] in ("shutting-down", "terminated")


TEMPLATE = {"LaunchTemplateId": "lt-00000000000000000"}
DATA = {"LaunchTemplateData.ImageId": IMAGE}
# Every action, with what it cannot do without.
ACTIONS = {
    "RunInstances": {"ImageId": IMAGE, "MinCount": "1", "MaxCount": "1"},
    "DescribeInstances": {},
    "DescribeInstanceStatus": {},
    "TerminateInstances": {"InstanceId.1": "i-00000000000000000"},
    "StopInstances": {"InstanceId.1": "i-00000000000000000"},
    "StartInstances": {"InstanceId.1": "i-00000000000000000"},
    "CreateTags": {"ResourceId.1": "i-00000000000000000", "Tag.1.Key": "k"},
    "DeleteTags": {"ResourceId.1": "i-00000000000000000", "Tag.1.Key": "k"},
    "DescribeTags": {},
    "CreateLaunchTemplate": {"LaunchTemplateName": "names"} | DATA,
    "CreateLaunchTemplateVersion": TEMPLATE | DATA,
    "ModifyLaunchTemplate": TEMPLATE | {"SetDefaultVersion": "1"},
    "DescribeLaunchTemplates": {},
    "DescribeLaunchTemplateVersions": TEMPLATE,
    "DescribeSubnets": {},
    "DescribeAvailabilityZones": {},
}


def wire_name(name, member):
    """A member's name in a request: <https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html>."""
    own = member.serialization.get("name", name)
    return member.serialization.get("queryName", own[0].upper() + own[1:])


def leaves(shape, depth):
    """The names of what a shape holds: everything down to `depth`, and below it the first of each."""
    if shape.type_name == "list":
        yield from (f".1{rest}" for rest in leaves(shape.member, depth))
    elif shape.type_name == "structure":
        members = list(shape.members.items())
        for name, member in members if depth > 0 else members[:1]:
            yield from (f".{wire_name(name, member)}{rest}" for rest in leaves(member, depth - 1))
    else:
        yield ""


def is_unknown(action, name):
    parameters = ACTIONS[action] | {"DryRun": "true"}
    form = urllib.parse.urlencode(parameters | {"Action": action, "Version": "2016-11-15", name: "x"})
    try:
        urllib.request.urlopen(urllib.request.Request(URL, data=form.encode()))
    except urllib.error.HTTPError as error:
        return b"<Code>UnknownParameter</Code>" in error.read()
    raise AssertionError(f"not a dry run: {action} {name}")


@check
def every_name_of_the_service_model_is_known():
    """What EC2 has is refused, if at all, by another code than what it has not."""
    unknown, asked = [], 0
    for action in ACTIONS:
        assert is_unknown(action, "Colour") and is_unknown(action, "Colour.1.Red"), action
        names = [name[1:] for name in leaves(EC2.meta.service_model.operation_model(action).input_shape, 2)]
        unknown += [f"{action} {name}" for name in names if is_unknown(action, name)]
        asked += len(names)
    assert asked > 250 and not unknown, (asked, unknown)


def strangers(element, shape, path):
    """The elements of an answer that the service model does not have there."""
    if shape.type_name == "list":
        for item in element:
            own = shape.member.serialization.get("name", "item")
            yield from strangers(item, shape.member, f"{path}/{own}") if local(item) == own else [f"{path}/{local(item)}"]
    elif shape.type_name == "structure":
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            here = f"{path}/{local(child)}"
            yield from strangers(child, known[local(child)], here) if local(child) in known else [here]


def local(element):
    return element.tag.rpartition("}")[2]


@check
def every_element_is_in_the_service_model():
    """boto3 passes over what it does not know: a misspelt element would only be missing."""
    instance = one(TagSpecifications=tagged(a="b"), InstanceMarketOptions={"MarketType": "spot"})
    wait("instance_running", InstanceIds=[instance])
    fake(f"instances/{instance}", {"deed": "impair"})
    ended = one()
    EC2.terminate_instances(InstanceIds=[ended])
    data = {"ImageId": IMAGE, "KeyName": "k", "SecurityGroupIds": ["sg-0"], "TagSpecifications": tagged(a="b")}
    data |= {"IamInstanceProfile": {"Arn": "arn:x"}, "Placement": {"AvailabilityZone": "us-east-1a"}, "UserData": "eA=="}
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = EC2.create_launch_template(LaunchTemplateName="all", LaunchTemplateData=data, TagSpecifications=tags)
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"]}
    own = {
        "TerminateInstances": {"InstanceId.1": ended},
        "StopInstances": {"InstanceId.1": instance},
        "StartInstances": {"InstanceId.1": instance},
        "CreateTags": {"ResourceId.1": instance, "Tag.1.Key": "k"},
        "DeleteTags": {"ResourceId.1": instance, "Tag.1.Key": "k"},
        "CreateLaunchTemplate": {"LaunchTemplateName": "another"} | DATA,
        "CreateLaunchTemplateVersion": template | {"SourceVersion": "1"} | DATA,
        "ModifyLaunchTemplate": template | {"SetDefaultVersion": "1"},
        "DescribeLaunchTemplateVersions": template,
        "DescribeInstances": {"MaxResults": "5"},
    }
    found = []
    for action in sorted(ACTIONS):
        if action == "StartInstances":
            fake(f"instances/{instance}", {"deed": "stop"})
            wait("instance_stopped", InstanceIds=[instance])
        if action == "StopInstances":
            wait("instance_running", InstanceIds=[instance])
        form = urllib.parse.urlencode(own.get(action, ACTIONS[action]) | {"Action": action, "Version": "2016-11-15"})
        with urllib.request.urlopen(urllib.request.Request(URL, data=form.encode())) as response:
            root = ElementTree.fromstring(response.read())
        assert root.tag == f"{{http://ec2.amazonaws.com/doc/2016-11-15/}}{action}Response", root.tag
        shape = EC2.meta.service_model.operation_model(action).output_shape
        expected = {"requestId", "return"} if shape is None else {"requestId"}
        for child in [child for child in root if local(child) in expected]:
            root.remove(child)
        found += [f"{action}{path}" for path in (strangers(root, shape, "") if shape else map(local, root))]
    assert not found, found


def main():
    for function in CHECKS:
        try:
            function()
        except BaseException:
            print(f"failed: {function.__name__}", file=sys.stderr)
            raise
    print(json.dumps([function.__name__ for function in CHECKS]))


main()
