"""The functions in AWS: made, changed, their versions, the alias `live`.

A function that exists gets its settings from here, and its code from `cargo lambda deploy`, one after the other and each waited for.
cargo-lambda could do both at once, but between them it waits for the version that the alias is on, which is the old one and has long been
ready: Lambda then refuses the code while it still applies the settings. It also leaves a changed role alone.
"""

import time
from dataclasses import dataclass

from .aws import Aws, code, found
from .cargo import CargoLambda
from .settings import ALIAS, Settings
from .told import Failed, Refused, Told

POLL_SECONDS = 1.0
# A function that is new in a VPC waits for its network interfaces, a minute or two.
READY_SECONDS = 10 * 60
# IAM tells its servers of a new role within seconds, mostly.
ROLE_ATTEMPTS = 8
ROLE_PAUSE_SECONDS = 5.0
# The commit of version 7 is in the function's tag muster:version-7. A tag of the function, because a version has none of its own and its
# description cannot be given by cargo-lambda to a function that is new; what nobody tagged was deployed some other way.
VERSION_TAG = "muster:version-"
# A function has 50 tags at most.
VERSION_TAGS = 20


@dataclass
class Live:
    """What a function's alias is on."""

    function: str
    name: str
    version: str
    # Empty where nobody has written it down.
    commit: str
    # "created", "updated" or "unchanged".
    change: str


class Functions:
    def __init__(self, aws: Aws, told: Told, poll_seconds: float = POLL_SECONDS, role_pause_seconds: float = ROLE_PAUSE_SECONDS):
        self._client = aws.functions
        self._told = told
        self._poll_seconds = poll_seconds
        self._role_pause_seconds = role_pause_seconds

    def present(self, name: str) -> dict | None:
        """A function's configuration, or None."""
        return found(self._client.get_function_configuration, FunctionName=name)

    def deploy(self, wanted: Settings, cargo: CargoLambda, commit: str) -> Live:
        """Brings a function to its settings and its code, and the alias to the version of both."""
        present = self.present(wanted.name)
        before = self.alias(wanted.name) if present else None
        if present is None:
            self._told.doing(f"{wanted.name} is being created")
            version = self._create(wanted, cargo)
        else:
            # An update that has failed is no reason to stop: this one may be what mends it.
            present = self._ready(wanted.name, judged=False)
            self._apply(wanted, present)
            self._told.doing(f"{wanted.name}: its code is being uploaded")
            version = cargo.update(wanted)
        self._ready(wanted.name, ALIAS)
        alias = self.alias(wanted.name)
        if not alias or alias["FunctionVersion"] != version:
            raise Failed(f"{wanted.name} was deployed as version {version}, and its alias {ALIAS} is not on it; deploy it again")
        commit = self._tag(wanted, version, commit)
        change = "created" if present is None else "unchanged" if before and before["FunctionVersion"] == version else "updated"
        self._told.say(f"{wanted.name}: {ALIAS} is version {version}")
        return Live(wanted.function, wanted.name, version, commit, change)

    def refuse_another_architecture(self, name: str, built: str) -> None:
        """A function that exists keeps its processor: Lambda takes code for another, and fails when it is called."""
        present = self.present(name)
        [deployed] = (present or {}).get("Architectures") or [built]
        if built != deployed:
            raise Refused(f"{name} is deployed for {deployed}, which cargo-lambda does not change, and the bootstrap is for {built}")

    def refuse_anothers(self, name: str, stack: str, option: str) -> None:
        """Functions are named in the account, not in the stack: another stack's must not become ours by a name that was not chosen."""
        present = self.present(name)
        if not present:
            return
        owner = self._client.list_tags(Resource=present["FunctionArn"]).get("Tags", {}).get("muster:stack")
        if owner != stack:
            whose = f"is of the stack {owner}" if owner else f"has no tag muster:stack; with muster:stack={stack} it would be taken over"
            raise Refused(f"{option}: there is a function {name} already, and it {whose}. Give this stack's another name")

    def alias(self, name: str) -> dict | None:
        return found(self._client.get_alias, FunctionName=name, Name=ALIAS)

    def versions(self, name: str) -> list[int]:
        """The published versions, the oldest first."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        return sorted(int(one["Version"]) for page in pages for one in page["Versions"] if one["Version"] != "$LATEST")

    def commits(self, name: str) -> dict[str, str]:
        """The commits of versions, as far as they are written down."""
        present = self.present(name)
        tags = self._client.list_tags(Resource=present["FunctionArn"]).get("Tags", {}) if present else {}
        return {key.removeprefix(VERSION_TAG): value for key, value in tags.items() if key.startswith(VERSION_TAG)}

    def move(self, name: str, alias: dict, version: str) -> None:
        """Moves the alias, unless somebody else has moved it since it was read."""
        more = {"RevisionId": alias["RevisionId"]} if alias.get("RevisionId") else {}
        try:
            self._client.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version, **more)
        except Exception as error:
            if code(error) == "PreconditionFailedException":
                raise Failed(f"{name}: somebody else has just moved {ALIAS}; look where it is, and try again") from error
            raise

    def delete(self, name: str) -> bool:
        """Deletes a function with its versions and its alias; False where there was none."""
        if self.present(name) is None:
            return False
        self._told.doing(f"{name} is being deleted")
        found(self._client.delete_function, FunctionName=name)
        return True

    def _create(self, wanted: Settings, cargo: CargoLambda) -> str:
        for left in reversed(range(ROLE_ATTEMPTS)):
            try:
                return cargo.create(wanted)
            except Failed as error:
                young = "cannot be assumed by Lambda" in str(error) or "does not have permissions to call CreateNetworkInterface" in str(error)
                if not young or not left or self.present(wanted.name):
                    raise
            self._told.doing(f"{wanted.name}: its role is not known everywhere yet; once more in {self._role_pause_seconds:.0f} s")
            time.sleep(self._role_pause_seconds)
        raise AssertionError("the last attempt returns or raises")

    def _apply(self, wanted: Settings, present: dict) -> None:
        """Applies the settings that differ, those alone, and waits until they are in force."""
        changed = changes(wanted, present)
        if changed:
            names = ", ".join(sorted(changed))
            self._told.doing(f"{wanted.name}: its settings are being changed ({names})")
            self._client.update_function_configuration(FunctionName=wanted.name, **changed)
            self._ready(wanted.name)

    def _ready(self, name: str, qualifier: str | None = None, judged: bool = True) -> dict:
        """Waits until Lambda has made what it was told to make."""
        more = {"Qualifier": qualifier} if qualifier else {}
        until = time.monotonic() + READY_SECONDS
        said = False
        while True:
            present = self._client.get_function_configuration(FunctionName=name, **more)
            state, update = present.get("State", "Active"), present.get("LastUpdateStatus", "Successful")
            if judged and (state == "Failed" or update == "Failed"):
                reason = present.get("StateReason") or present.get("LastUpdateStatusReason") or "Lambda gives no reason"
                raise Failed(f"{name} could not be made ready: {reason}")
            if state != "Pending" and update != "InProgress":
                return present
            if time.monotonic() > until:
                raise Failed(f"{name} is still {state}, {update} after {READY_SECONDS} s; Lambda goes on with it: run it again")
            if not said:
                self._told.doing(f"{name}: Lambda is making it ready")
                said = True
            time.sleep(self._poll_seconds)

    def _tag(self, wanted: Settings, version: str, commit: str) -> str:
        """Writes down which commit a version is. Lambda publishes no version of what has not changed: such a one keeps its tag."""
        known = self.commits(wanted.name)
        arn = self._client.get_function_configuration(FunctionName=wanted.name)["FunctionArn"]
        tags = {"muster:stack": wanted.stack}
        if commit and version not in known:
            tags[f"{VERSION_TAG}{version}"] = commit
        self._client.tag_resource(Resource=arn, Tags=tags)
        oldest = sorted((one for one in known if one.isdigit()), key=int)[: max(0, len(known) + 1 - VERSION_TAGS)]
        if oldest:
            self._client.untag_resource(Resource=arn, TagKeys=[f"{VERSION_TAG}{one}" for one in oldest])
        return known.get(version, commit)


def changes(wanted: Settings, present: dict) -> dict:
    """What `UpdateFunctionConfiguration` has to be told; nothing, where all is as it should be."""
    found = {}
    if present.get("Role") != wanted.role:
        found["Role"] = wanted.role
    if present.get("Timeout") != wanted.timeout_seconds:
        found["Timeout"] = wanted.timeout_seconds
    if present.get("MemorySize") != wanted.memory_mb:
        found["MemorySize"] = wanted.memory_mb
    environment = present.get("Environment", {}).get("Variables", {})
    if wanted.merged(environment) != environment:
        found["Environment"] = {"Variables": wanted.merged(environment)}
    vpc = present.get("VpcConfig") or {}
    subnets, groups = vpc.get("SubnetIds") or [], vpc.get("SecurityGroupIds") or []
    if sorted(subnets) != sorted(wanted.subnets) or sorted(groups) != sorted(wanted.security_groups):
        found["VpcConfig"] = {"SubnetIds": list(wanted.subnets), "SecurityGroupIds": list(wanted.security_groups)}
    return found


def before(versions: list[int], current: int) -> int | None:
    """The version that a rollback goes to: the newest of those older than the current one."""
    older = [version for version in versions if version < current]
    return max(older, default=None)
