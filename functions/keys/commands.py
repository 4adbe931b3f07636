"""All commands: importing their modules adds them to the group."""

from __future__ import annotations

from . import changes, replaying, reports, updates, usage
from .group import cli

__all__ = ["changes", "cli", "replaying", "reports", "updates", "usage"]
