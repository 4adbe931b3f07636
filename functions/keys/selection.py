"""Which key is meant by what was typed."""

from __future__ import annotations

from collections.abc import Sequence

from functions.shared.keys import Key

from .arguments import PROGRAM
from .errors import CommandFailed
from .tables import table

_CANDIDATES = 10


def select(keys: Sequence[Key], which: str) -> Key:
    """Return the one key whose id is, or begins with, or whose name is, what was typed.

    Raises: CommandFailed, listing the candidates.
    """
    for key in keys:
        if key.id == which:
            return key
    found = [key for key in keys if key.name == which or key.id.startswith(which)]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandFailed(
            f"Expected one key, but {which!r} stands for {len(found):,}. Give an id:\n{_listed(found)}"
        )
    if keys:
        raise CommandFailed(f"No key has the id or the name {which!r}. There are:\n{_listed(keys)}")
    raise CommandFailed(
        f"No key has the id or the name {which!r}: there are none yet."
        f" Make the first: {PROGRAM} create --name alice"
    )


def _listed(keys: Sequence[Key]) -> str:
    rows = [(f"  {key.id}", key.name, key.hint) for key in keys[:_CANDIDATES]]
    lines = table(("  ID", "NAME", "KEY"), rows, ("NAME",)).splitlines()[1:]
    if len(keys) > _CANDIDATES:
        lines.append(f"  … and {len(keys) - _CANDIDATES:,} more: {PROGRAM} list")
    return "\n".join(lines)
