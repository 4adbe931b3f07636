"""Which key is meant by what was typed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from functions.shared.keys import Key

from .session import PROGRAM

_CANDIDATES = 10


def select(keys: Sequence[Key], which: str) -> Key:
    """Return the one key whose id is, or begins with, or whose name is, what was typed.

    Raises: ClickException, listing the candidates.
    """
    for key in keys:
        if key.id == which:
            return key
    found = [key for key in keys if key.name == which or key.id.startswith(which)]
    if len(found) == 1:
        return found[0]
    if not keys:
        raise click.ClickException(
            f"No key has the id or the name {which!r}: there are none yet."
            f" Make the first: {PROGRAM} create --name alice"
        )
    candidates = found or keys
    lines = [f"  {key.id}  {key.hint:<7}  {key.name}" for key in candidates[:_CANDIDATES]]
    if len(candidates) > _CANDIDATES:
        lines.append(f"  … and {len(candidates) - _CANDIDATES:,} more: {PROGRAM} list")
    said = f"No key has the id or the name {which!r}. There are:"
    if found:
        said = f"Expected one key, but {which!r} stands for {len(found):,}. Give an id:"
    raise click.ClickException("\n".join((said, *lines)))
