"""What is known of an engine's starts and stops: one item, and every write of it is a compare and swap.

pk                 sk       holds
engine#<model id>  scaler   `wanted_until`, `started_at`, `stopping_at`; `holders`: until when each stream
                            that waits has its place; `version`: how often it was written
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from functions.shared.aws import AwsError, Service

_CONDITION = "ConditionalCheckFailedException"
# So many writes at once are possible: those of two environments and of all streams that wait.
_ATTEMPTS = 12
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An engine that is wanted until then, or not any more.

    Shape:  `started_at`: when the start began that is under way, or has led to the engine that runs; None:
            it is stopped, or was started by hand. `stopping_at`: when a stop began, of which it is not known
            that it has ended.
            `holders`: by id, until when a stream that waits has its place.
    Units:  s since 1970.
    """

    version: int = 0
    wanted_until: float = 0.0
    started_at: float | None = None
    stopping_at: float | None = None
    holders: Mapping[str, float] = field(default_factory=dict)


class StateStore:
    """The item. Its calls block.

    Raises: AwsError.
    """

    def __init__(self, dynamodb: Service, table: str, model: str) -> None:
        self._dynamodb, self._table = dynamodb, table
        self._place = {"pk": {"S": f"engine#{model}"}, "sk": {"S": "scaler"}}

    def read(self) -> State:
        """Return the state as it is now."""
        response = self._dynamodb.call(
            "get_item", TableName=self._table, Key=self._place, ConsistentRead=True
        )
        item = response.get("Item", {})
        times = {
            name: float(item[name]["N"])
            for name in ("wanted_until", "started_at", "stopping_at")
            if name in item
        }
        holders = {name: float(until["N"]) for name, until in item.get("holders", {"M": {}})["M"].items()}
        return State(version=int(item.get("version", {"N": "0"})["N"]), holders=holders, **times)

    def change(self, change: Callable[[State], State | None]) -> State | None:
        """Write what a change makes of the state, as it is then, and return it; None, where it makes nothing.

        A write that was done, but whose response was lost, is refused the second time: then the change is
        made of what it had written.
        """
        for attempt in range(_ATTEMPTS):
            seen = self.read()
            changed = change(seen)
            if changed is None:
                return None
            if changed == seen:
                return seen
            changed = replace(changed, version=seen.version + 1)
            try:
                self._write(changed, seen.version)
            except AwsError as error:
                if error.code != _CONDITION or attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(random.uniform(0, _PAUSE_S * attempt))
            else:
                return changed
        raise AssertionError("the last attempt returns or raises")

    def _write(self, state: State, seen: int) -> None:
        times = {
            "wanted_until": state.wanted_until,
            "started_at": state.started_at,
            "stopping_at": state.stopping_at,
        }
        known = {name: value for name, value in times.items() if value is not None}
        values: dict[str, Any] = {f":{name}": {"N": repr(value)} for name, value in known.items()}
        values[":version"] = {"N": str(state.version)}
        values[":holders"] = {"M": {name: {"N": repr(until)} for name, until in state.holders.items()}}
        assigned = ", ".join(f"{value[1:]} = {value}" for value in values)
        removed = ", ".join(name for name in times if name not in known)
        condition = "attribute_not_exists(version)"
        if seen:
            condition, values[":seen"] = "version = :seen", {"N": str(seen)}
        self._dynamodb.call(
            "update_item",
            TableName=self._table,
            Key=self._place,
            UpdateExpression=f"SET {assigned}" + (f" REMOVE {removed}" if removed else ""),
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
        )
