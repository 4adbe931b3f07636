"""What a policy allows: the part of IAM's evaluation that our templates use.

Source: IAM, "Policy evaluation logic" and "Condition operators", read 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Json = dict[str, Any]
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": "eu-central-1", "AWS::AccountId": "111122223333"}


@dataclass(frozen=True)
class Request:
    """One request. `context`: the condition keys that it has, some of several values."""

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


class Policies(list[Json]):
    """The statements of all policies that apply."""

    def allow(self, request: Request) -> bool:
        """Return whether a statement allows it, and none denies it."""
        effects = {statement["Effect"] for statement in self if _applies(statement, request)}
        return effects == {"Allow"}


def resolved(value: Any) -> Any:
    """Return a value of a template as it is at deployment; what only AWS knows is its logical id."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(resolved, parts))
        case {"Ref": str(name)}:
            return _PSEUDO.get(name, name)
        case {"Fn::GetAtt": [name, _]}:
            return name
        case {"Fn::ImportValue": str(name)}:
            return name
        case dict():
            return {name: resolved(each) for name, each in value.items()}
        case list():
            return [resolved(each) for each in value]
    return value


def _applies(statement: Json, request: Request) -> bool:
    return (
        any(fnmatchcase(request.action, pattern) for pattern in _listed(statement["Action"]))
        and any(fnmatchcase(request.resource, pattern) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, request.context.get(key), _listed(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, found: str | Sequence[str] | None, wanted: list[str]) -> bool:
    values = [] if found is None else _listed(found)
    match operator:
        case "Null":
            return (not values) is (wanted == ["true"])
        case "StringEquals" | "Bool":
            return len(values) == 1 and values[0] in wanted
        case "ForAllValues:StringLike":  # true for none
            return all(any(fnmatchcase(value, pattern) for pattern in wanted) for value in values)
    raise AssertionError(f"{operator} is not known here")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
