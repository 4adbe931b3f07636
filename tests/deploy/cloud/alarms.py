"""Alarms over expressions are created by doing nothing: ministack has only those over one metric."""

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

TYPE = "AWS::CloudWatch::Alarm"
_NONE = "none-"
_REFUSAL = "metric math"


def needed() -> bool:
    """Return whether ministack still refuses them."""
    try:
        provisioners._RESOURCE_HANDLERS[TYPE]["create"]("Probe", {"Metrics": [{"Id": "a"}]}, "Probe")
    except ValueError as error:
        return _REFUSAL in str(error)
    return False


def install() -> None:
    """Accept them."""
    known = provisioners._RESOURCE_HANDLERS[TYPE]

    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        try:
            return known["create"](logical_id, properties, stack)
        except ValueError as error:
            if _REFUSAL not in str(error):
                raise
            name = f"{_NONE}{stack}-{logical_id}"
            return name, {"Arn": f"arn:aws:cloudwatch:::alarm:{name}"}

    def update(name: str, old: Any, new: Any, stack: str, logical_id: str) -> Any:
        if name.startswith(_NONE):
            return create(logical_id, new, stack)
        return known["update"](name, old, new, stack, logical_id)

    def delete(name: str, properties: Any) -> None:
        if not name.startswith(_NONE):
            known["delete"](name, properties)

    changed = {"create": create, "update": update, "delete": delete}
    provisioners._RESOURCE_HANDLERS[TYPE] = {**known, **changed}
