"""CloudFormation's stacks: made, changed, deleted, waited for; with what they are left as when something went wrong.

Created and updated directly, without change sets: nobody would look at one between. A wait is bounded, and says what failed and why.
"""

import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from .aws import Aws, code, message
from .told import Failed, Refused, Told

POLL_SECONDS = 2.0
# A foundation takes two minutes. What takes longer than this will not end well, or is somebody else's.
LONGEST_SECONDS = 20 * 60
# Somebody who hears nothing for longer thinks that it hangs.
SILENT_SECONDS = 30.0
# What a failed first creation leaves behind: it can be deleted, and nothing else.
LEFTOVERS = {"CREATE_FAILED", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
# A template's text may have so many bytes.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
TEMPLATE_BYTES = 51_200


@dataclass
class Deployed:
    """What a deployment of one template came to."""

    name: str
    # "created", "updated" or "unchanged".
    change: str
    outputs: dict[str, str]
    parameters: dict[str, str]


class Stacks:
    def __init__(self, aws: Aws, told: Told, poll_seconds: float = POLL_SECONDS, longest_seconds: float = LONGEST_SECONDS):
        self._client = aws.cloudformation
        self._told = told
        self._poll_seconds = poll_seconds
        self._longest_seconds = longest_seconds

    def describe(self, name: str) -> dict | None:
        """A stack as CloudFormation describes it, or None. A deleted one is none."""
        try:
            [stack] = self._client.describe_stacks(StackName=name)["Stacks"]
        except Exception as error:
            if code(error) == "ValidationError" and "does not exist" in message(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack

    def settled(self, name: str) -> dict | None:
        """The stack once nobody is changing it any more."""
        stack = self.describe(name)
        if stack and stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
            self._told.doing(f"{name} is {stack['StackStatus']}: waiting until that has ended")
            stack = self._wait(name)
        return stack

    def of(self, stack: str) -> list[str]:
        """The names of all stacks that a template of ours made for this stack of Muster's: they say so in a parameter."""
        pages = self._client.get_paginator("describe_stacks").paginate()
        return sorted(one["StackName"] for page in pages for one in page["Stacks"] if parameters(one).get("Stack") == stack)

    def leftover(self, stack: dict | None) -> bool:
        return bool(stack) and stack["StackStatus"] in LEFTOVERS

    def deploy(self, name: str, template: Path, given: dict[str, str]) -> Deployed:
        """Makes a stack, or changes it. What is not given keeps its value, or gets the template's default."""
        body = template.read_text()
        if len(body.encode()) > TEMPLATE_BYTES:
            raise Refused(f"{template.name} has {len(body.encode())} bytes, and CloudFormation takes {TEMPLATE_BYTES}")
        stack = self.settled(name)
        if self.leftover(stack):
            self._told.say(f"{name} is {stack['StackStatus']}, left behind by a creation that failed: it is deleted first")
            self.delete(name)
            stack = None
        if stack and stack["StackStatus"] in ("DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"):
            raise Refused(self._stuck(name, stack["StackStatus"]))
        previous = parameters(stack)
        told = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        # A parameter that the template has lost cannot keep anything, and one that it has gained gets its default.
        kept = [key for key in previous if key not in given and key in parameter_names(body)]
        told += [{"ParameterKey": key, "UsePreviousValue": True} for key in kept]
        request = {
            "StackName": name,
            "TemplateBody": body,
            "Parameters": told,
            "Capabilities": ["CAPABILITY_IAM"],
            "ClientRequestToken": uuid.uuid4().hex,
        }
        if stack is None:
            self._told.doing(f"{name} is being created from {template.name}")
            self._client.create_stack(**request)
            change = "created"
        else:
            self._told.doing(f"{name} is brought to {template.name}")
            try:
                self._client.update_stack(**request)
                change = "updated"
            except Exception as error:
                if code(error) != "ValidationError" or "No updates are to be performed" not in message(error):
                    raise
                self._told.say(f"{name} is as it should be")
                change = "unchanged"
        stack = self._wait(name) if change != "unchanged" else stack
        if stack is None or (change != "unchanged" and stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")):
            status = stack["StackStatus"] if stack else "gone"
            raise Failed("\n".join([f"{name} is {status}:", *self._reasons(name, request["ClientRequestToken"])]))
        return Deployed(name, change, outputs(stack), parameters(stack))

    def delete(self, name: str) -> bool:
        """Deletes a stack; False where there was none. What its template retains stays."""
        if self.settled(name) is None:
            return False
        self._told.doing(f"{name} is being deleted")
        token = uuid.uuid4().hex
        self._client.delete_stack(StackName=name, ClientRequestToken=token)
        stack = self._wait(name)
        if stack is not None:
            raise Failed("\n".join([f"{name} is {stack['StackStatus']}:", *self._reasons(name, token)]))
        return True

    def _wait(self, name: str) -> dict | None:
        begun = heard = time.monotonic()
        until = begun + self._longest_seconds
        while True:
            stack = self.describe(name)
            if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack
            if time.monotonic() > until:
                raise Failed(
                    f"{name} is still {stack['StackStatus']} after {self._longest_seconds:.0f} s. CloudFormation goes on with it; "
                    "run the same command again to wait for it and to go on."
                )
            if time.monotonic() > heard + SILENT_SECONDS:
                heard = time.monotonic()
                self._told.say(f"{name} is {stack['StackStatus']}, {heard - begun:.0f} s by now")
            time.sleep(self._poll_seconds)

    def _reasons(self, name: str, token: str) -> list[str]:
        """What failed of an operation, first things first. What was only cancelled because of it is left out."""
        try:
            events = self._client.describe_stack_events(StackName=name)["StackEvents"]
        except Exception as error:
            return [f"  its events could not be read: {message(error)}"]
        ours = [event for event in events if event.get("ClientRequestToken", token) == token]
        lines = []
        for event in reversed(ours or events):
            reason = event.get("ResourceStatusReason", "")
            if event["ResourceStatus"].endswith("_FAILED") and reason and "cancelled" not in reason:
                lines.append(f"  {event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        return lines or ["  CloudFormation gives no reason"]

    def _stuck(self, name: str, status: str) -> str:
        advice = {
            "DELETE_FAILED": f"`aws cloudformation delete-stack --stack-name {name}` tries once more",
            "UPDATE_ROLLBACK_FAILED": f"`aws cloudformation continue-update-rollback --stack-name {name}` brings it back",
        }[status]
        return "\n".join([f"{name} is {status}, and has to be looked at: {advice}.", *self._reasons(name, "")])


def parameter_names(template: str) -> set[str]:
    """The parameters of a template of ours: without a parser of YAML, by how ours are written."""
    block = re.search(r"(?ms)^Parameters:\n(.*?)(?=^\S)", template)
    return set(re.findall(r"(?m)^  (\w+):$", block[1])) if block else set()


def outputs(stack: dict | None) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", [])}


def parameters(stack: dict | None) -> dict[str, str]:
    return {one["ParameterKey"]: one["ParameterValue"] for one in (stack or {}).get("Parameters", [])}
