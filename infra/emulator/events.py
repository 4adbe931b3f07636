"""Events as Lambda hands them to a function, from files."""

import json
from pathlib import Path
from typing import Any

from infra.emulator.errors import CannotInvoke

FUNCTIONS = ("chat", "todos")
_EXAMPLE = "For example: make invoke EVENT=tests/events/chat_health_v2.json"


def read_event(name: str) -> dict[str, Any]:
    """Return the event in a file.

    Raises: CannotInvoke.
    """
    if not name:
        raise CannotInvoke(f"Expected EVENT to name a file with an event, but it is not set. {_EXAMPLE}")
    try:
        event = json.loads(Path(name).read_bytes())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CannotInvoke(f"Expected an event in {name}, but got: {reason}. {_EXAMPLE}") from error
    except ValueError as error:
        raise CannotInvoke(f"Expected {name} to hold JSON, but it does not: {error}.") from error
    if not isinstance(event, dict):
        raise CannotInvoke(f"Expected {name} to hold a JSON object, but got a {type(event).__name__}.")
    return event


def function_of(event: dict[str, Any], wanted: str) -> str:
    """Return the function that the event is for: the one wanted, else as the API's paths go.

    Raises: CannotInvoke.
    """
    if wanted and wanted not in FUNCTIONS:
        raise CannotInvoke(f"Expected FUNCTION to be {' or '.join(FUNCTIONS)}, but got {wanted!r}.")
    path = str(event.get("rawPath") or event.get("path") or "")
    return wanted or ("todos" if path.split("/")[1:2] == ["graphql"] else "chat")
