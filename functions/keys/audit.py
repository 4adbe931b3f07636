"""The audit line: each change of a key as one line of JSON on stderr, where no person reads that.

It says what the key's history has: who, when, what. No text and no digest of a key is in it.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress

from functions.shared.items import instant
from functions.shared.key_text import without_keys
from functions.shared.keys import Key

from .history import Change


def audit_line(key: Key, change: Change) -> str:
    """Return the line of a change."""
    values = {
        "at": instant(change.at_ms),
        "by": change.by,
        "command": change.command,
        "key_id": key.id,
        "name": key.name,
        "changes": change.members,
    }
    text = without_keys(json.dumps({"audit": values}, ensure_ascii=False))
    return json.dumps(json.loads(text), separators=(",", ":"))  # in ASCII, whatever the encoding of a log


def log_change(key: Key, change: Change) -> None:
    """Write the line of a change to stderr, unless that is a terminal."""
    if not sys.stderr.isatty():
        with suppress(OSError):  # the change is made, and in the history
            print(audit_line(key, change), file=sys.stderr, flush=True)
