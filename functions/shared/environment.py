"""Values read from variables; each error names its variable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class SettingsError(ValueError):
    """A variable is missing or wrong; the text names it, says what it is for and where to set it."""


def count(text: str, variable: str) -> int:
    """Read a whole number of at least 1.

    Raises: SettingsError.
    """
    if not text.isdecimal() or len(text) > 18 or int(text) < 1:
        raise SettingsError(f"{variable}: expected a whole number of at least 1, but got {text!r}.")
    return int(text)


def seconds(text: str, variable: str) -> float:
    """Read a time above 0 and below a day.

    Raises: SettingsError.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86400:
        raise SettingsError(f"{variable}: expected seconds above 0 and below 86400, but got {text!r}.")
    return value


def switch(environ: Mapping[str, str], variable: str, *, default: str) -> bool:
    """Read on or off.

    Raises: SettingsError.
    """
    text = environ.get(variable) or default
    if text not in ("on", "off"):
        raise SettingsError(f"{variable}: expected on or off, but got {text!r}.")
    return text == "on"


def json_object(environ: Mapping[str, str], variable: str) -> dict[str, Any]:
    """Read a JSON object; without the variable, or if it is empty, an empty one.

    Raises: SettingsError.
    """
    try:
        value = json.loads(environ.get(variable) or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SettingsError(f"{variable}: expected a JSON object.")
    return value
