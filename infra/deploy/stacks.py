"""The stacks of a stage as CloudFormation knows them: their outputs, their parts, what failed in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_CANCELLED = "cancelled"
_GONE = "DELETE_COMPLETE"


@dataclass(frozen=True)
class Failure:
    """A resource that CloudFormation could not make, change or delete, and why."""

    resource: str
    kind: str
    status: str
    reason: str


@dataclass(frozen=True)
class Stacks:
    """The stacks of one stage, whose names begin with `prefix`, as in ChatbotDev.

    Raises: BotoCoreError, ClientError, each method.
    """

    prefix: str
    cloudformation: Any

    def outputs(self) -> dict[str, dict[str, str]]:
        """Return the outputs for users of each stack that there is, by the stack's name."""
        pages = self.cloudformation.get_paginator("describe_stacks").paginate()
        ours = {f"{self.prefix}{part}" for part in PARTS}
        return {
            stack["StackName"]: {
                each["OutputKey"]: each["OutputValue"]
                for each in stack.get("Outputs", ())
                if not each.get("ExportName")
            }
            for page in pages
            for stack in page["Stacks"]
            if stack["StackName"] in ours and stack["StackStatus"] != _GONE
        }

    def part(self, stack: str, kind: str, beginning: str) -> str | None:
        """Return the physical id of a resource, by its type and the beginning of its logical id."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=f"{self.prefix}{stack}"
        )
        for page in pages:
            for each in page["StackResourceSummaries"]:
                if each["ResourceType"] == kind and each["LogicalResourceId"].startswith(beginning):
                    return str(each.get("PhysicalResourceId") or "") or None
        return None

    def failures(self, stack: str, since: datetime) -> list[Failure]:
        """Return what failed in a stack since then, the first first, without what was cancelled for it."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
        newest_first = (event for page in pages for event in page["StackEvents"])
        found = [
            Failure(
                resource=event["LogicalResourceId"],
                kind=event.get("ResourceType", ""),
                status=event["ResourceStatus"],
                reason=event.get("ResourceStatusReason", ""),
            )
            for event in takewhile(lambda event: event["Timestamp"] >= since, newest_first)
            if event["ResourceStatus"].endswith("_FAILED")
        ]
        return [each for each in reversed(found) if _CANCELLED not in each.reason.lower()]


# The last parts of the stacks' names, in the order of their making.
PARTS = ("Network", "Data", "Supply", "Engine", "Api", "Watch")
UNREACHABLE = (BotoCoreError, ClientError)


def prefix_of(stage: str) -> str:
    """Return the beginning of the names of a stage's stacks."""
    return f"Chatbot{stage.capitalize()}"
