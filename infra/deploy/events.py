"""What CDK's command line prints of a deployment: which stack it is at, and what of it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# As in "ChatbotDevData: deploying... [2/6]".
_STACK = re.compile(r"(?P<stack>[\w-]+): (?:deploying|destroying)\.\.\. \[(?P<number>\d+)/(?P<total>\d+)\]")
# As in "✅  ChatbotDevData (no changes)" and "✅  ChatbotDevData: destroyed".
_DONE = re.compile(r"\s*✅\s+(?P<stack>[\w-]+)(?P<how> \(no changes\)|: destroyed)?\s*$")
# As in "ChatbotDevData | 3/19 | 2:26:57 PM | CREATE_COMPLETE | AWS::RDS::DBCluster | Database (DatabaseB2)".
_EVENT = re.compile(
    r"(?P<stack>[\w-]+) \|\s*(?P<done>\d+)(?:/(?P<total>\d+))? \| [^|]+ \| (?P<status>[A-Z_]+)\s*"
    r"\| (?P<kind>[\w:]+)\s*\| (?P<resource>[^ ]+)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_WHOLE_STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Running:
    """A resource that CloudFormation works at.

    Units:  `since_s` on the clock of what reads the events.
    """

    resource: str
    kind: str
    since_s: float


@dataclass(frozen=True)
class Finished:
    """A stack that is done. Shape: `how`: "", "no changes" or "destroyed"."""

    stack: str
    how: str
    resources: int
    took_s: float


@dataclass
class Events:
    """The state of a deployment, from the lines read so far.

    Shape:  `number` of `total`: which stack it is at; 0 of 0 before the first. `done` of `resources` of it.
    """

    stack: str = ""
    number: int = 0
    total: int = 0
    done: int = 0
    resources: int = 0
    began_s: float = 0.0
    _running: dict[str, Running] = field(default_factory=dict)

    def read(self, line: str, now_s: float) -> Finished | None:
        """Take a line into account; return the stack that it ends."""
        line = _COLOUR.sub("", line)
        if found := _EVENT.match(line):
            self._take(found, now_s)
        elif found := _STACK.match(line):
            self._enter(found["stack"], now_s)
            self.number, self.total = int(found["number"]), int(found["total"])
        elif found := _DONE.match(line):
            how = (found["how"] or "").strip(" ():")
            known = found["stack"] == self.stack
            self._running.clear()
            took_s = now_s - self.began_s if known else 0.0
            return Finished(found["stack"], how, self.done if known and not how else 0, took_s)
        return None

    def longest(self) -> Running | None:
        """Return the resource that has been worked at for the longest time."""
        return min(self._running.values(), key=lambda each: each.since_s, default=None)

    def runs(self, kind: str) -> bool:
        """Return whether a resource of this type is worked at."""
        return any(each.kind == kind for each in self._running.values())

    def _enter(self, stack: str, now_s: float) -> None:
        if stack != self.stack:
            self.stack, self.began_s, self.done, self.resources = stack, now_s, 0, 0
            self._running.clear()

    def _take(self, event: re.Match[str], now_s: float) -> None:
        self._enter(event["stack"], now_s)
        self.done = max(self.done, int(event["done"]))
        self.resources = max(self.resources, int(event["total"] or 0))
        name = event["resource"]
        if event["status"].endswith("_IN_PROGRESS"):
            if event["kind"] != _WHOLE_STACK:
                self._running.setdefault(name, Running(name, event["kind"], now_s))
        else:
            self._running.pop(name, None)
