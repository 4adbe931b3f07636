"""Which key is meant by what was typed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

import click

from functions.shared.keys import Key

from . import views
from .forms import normalised
from .history import Change
from .session import PROGRAM, Session, Store
from .stored_keys import ChangeUnknown, Listed

_CANDIDATES = 10
# Among how many names similar ones are looked for, which takes a millisecond each.
_COMPARED = 500
_DIGITS = 8
_WHOLE_ID = re.compile("key_[0-9a-f]{16}")


def select(store: Store, which: str, *, to_change: bool = False, deleted: bool = False) -> Key:
    """Return the one key whose id is, or begins with, or whose name is, what was typed.

    `to_change`: the beginning of an id is at least eight digits long. `deleted`: a deleted key is preferred.
    Raises: ClickException, listing the candidates.
    """
    if _WHOLE_ID.fullmatch(which) and (key := store.find(which)):
        return key
    keys = store.listed()
    same = [key for key in keys if key.id == which]
    found = same or [key for key in keys if normalised(key.name) == which or key.id.startswith(which)]
    found = [key for key in found if key.deleted == deleted] or found
    if len(found) != 1:
        shown = [key for key in keys if key.deleted == deleted]
        raise click.ClickException(_none_or_several(found, shown, which, deleted=deleted))
    ((listed,), beginning) = found, which.removeprefix("key_")
    if to_change and which not in (listed.id, normalised(listed.name)) and len(beginning) < _DIGITS:
        raise click.ClickException(
            f"Expected at least eight digits of an id, or a name, to change a key, but got {which!r}."
            f" There is:\n{_line(listed)}"
        )
    return existing(store.find(listed.id))


def select_to_change(session: Session, which: str) -> Key:
    """Return the key that a command changes, which must not be deleted.

    Raises: ClickException.
    """
    key = select(session.store, which, to_change=True)
    if key.deleted_at is not None:
        raise click.ClickException(
            f"{key.id} ({key.name}) was deleted on {views.clock(key.deleted_at)}."
            f" To accept it again: {PROGRAM} restore {key.id}"
        )
    return key


def change(session: Session, key: Key, command: str, alter: Callable[[Key], Key]) -> tuple[Key, Change]:
    """Alter a key that was selected; return it, and what was changed.

    Raises: ClickException, if it was deleted just now.
    """
    try:
        done = session.store.change(key.id, alter, session.change(command))
    except ChangeUnknown as error:
        error.add_note(
            f"It is not known whether {key.id} was changed. If {PROGRAM} history {key.id} does not have it,"
            " run the same command again."
        )
        raise
    existing(done[0] if done else None)
    assert done
    return done


def existing(key: Key | None) -> Key:
    """Return a key that was there a moment ago.

    Raises: ClickException, if it is not there any more.
    """
    if key is None:
        raise click.ClickException(f"The key was removed just now. What is there: {PROGRAM} list")
    return key


def check_name(store: Store, name: str, *, same_name: bool, except_id: str = "") -> None:
    """Refuse a name that another key has, unless that is wanted.

    Raises: ClickException.
    """
    if same_name:
        return
    for key in store.listed():
        if normalised(key.name) == normalised(name) and not key.deleted and key.id != except_id:
            raise click.ClickException(
                f"There is a key of the name {name!r} already: {key.id}. Give one of them another name, or"
                " --same-name if both keys are to have it."
            )


def _none_or_several(found: list[Listed], keys: list[Listed], which: str, *, deleted: bool) -> str:
    if not found and not keys:
        said = f"No key has the id or the name {which!r}: there are none"
        if deleted:
            return f"{said} that were deleted. What is there: {PROGRAM} list"
        return f"{said}. Make the first: {PROGRAM} create --name alice"
    said = f"Expected one key, but {which!r} stands for {len(found):,}. Give an id:"
    if not found:
        said = f"No key has the id or the name {which!r}. There are:"
        typed = which.casefold()
        names = {key.name.casefold(): key for key in keys}
        near = [name for name in names if typed in name]
        near += difflib.get_close_matches(typed, list(names)[:_COMPARED], _CANDIDATES)
        first = [names[name] for name in dict.fromkeys(near)]
        found = first + [key for key in keys if key not in first]
    lines = [said, *map(_line, found[:_CANDIDATES])]
    if len(found) > _CANDIDATES:
        lines.append(f"  … and {len(found) - _CANDIDATES:,} more: {PROGRAM} list")
    return "\n".join(lines)


def _line(key: Listed) -> str:
    return f"  {key.id}  {key.hint:<7}  {key.name}{' (deleted)' if key.deleted else ''}"
