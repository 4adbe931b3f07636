"""What ends a command; the text says what was wrong and what to do next.

CommandFailed          exit status 1
└── UsageError         exit status 2: the command line or its environment is wrong
"""

from __future__ import annotations

import re
from typing import ClassVar

# A key, but not what `list` shows of it: sk-…Ab3d.
_KEY = re.compile(r"sk-[^\s'\"…]+")


class CommandFailed(Exception):
    """The command could not do what it was asked for."""

    status: ClassVar[int] = 1


class UsageError(CommandFailed):
    """Something was not said, or said wrong."""

    status = 2


def redacted(text: str) -> str:
    """Return a text for the terminal without keys, which somebody may have typed in the wrong place."""
    return _KEY.sub("sk-…", text)
