"""What the checks found, and how it is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warning", "failure"]
_MARKS: Mapping[Status, str] = {"ok": "ok", "warning": "WARNING", "failure": "FAILURE"}
_WIDTH = max(map(len, _MARKS.values()))


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Shape:  `remedy`: the command or the page that changes it; "" where there is nothing to change.
            `places`: what the check chose for `stages/<stage>.<region>.json`. `title`: what was checked.
    """

    status: Status
    answer: str
    remedy: str = ""
    places: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


def ok(answer: str, *, places: Mapping[str, Any] | None = None) -> Finding:
    """Return a finding that needs no change."""
    return Finding("ok", answer, places=places or {})


def warning(answer: str, remedy: str = "", *, places: Mapping[str, Any] | None = None) -> Finding:
    """Return a finding with which a deployment succeeds, but something will be missing or slow."""
    return Finding("warning", answer, remedy, places or {})


def failure(answer: str, remedy: str = "") -> Finding:
    """Return a finding with which a deployment fails, or the engine never starts."""
    return Finding("failure", answer, remedy)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What all checks of a stage found; as text, what `make doctor` prints.

    Shape:  `region`, `account`: None: not known. `notes`: lines that follow the findings.
    """

    stage: str
    region: str | None
    account: str | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a deployment would fail, or the engine would never start."""
        return any(finding.status == "failure" for finding in self.findings)

    def __str__(self) -> str:
        lines = [f"{self.stage} in {self.region or 'no region'}, account {self.account or 'unknown'}"]
        titles = max((len(finding.title) for finding in self.findings), default=0)
        for finding in self.findings:
            lines.append(f"  {_MARKS[finding.status]:{_WIDTH}}  {finding.title:{titles}}  {finding.answer}")
            if finding.remedy:
                lines.append(f"  {'':{_WIDTH}}  {'':{titles}}  → {finding.remedy}")
        count = Counter(finding.status for finding in self.findings)
        numbers = f"{_number(count['failure'], 'failure')}, {_number(count['warning'], 'warning')}"
        result = f"{'Not ready' if self.failed else 'Ready to deploy'}: {numbers}."
        return "\n".join([*lines, *self.notes, result])


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
