"""The commands: their options, what they do with the table, and what they print."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

import click
from rich.table import Table

from functions.shared.key_text import MistypedKey, check_key, digest, hint, new_key
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.usage import NONE, UsageSum

from . import options, views
from .replay import Replay
from .session import PROGRAM, Session

_CANDIDATES = 10
# How many keys' usage is read at a time.
_AT_ONCE = 8


@dataclass(frozen=True)
class Result:
    """What a command prints: a text or a table for people, or else JSON.

    Shape:  `warnings` go to stderr, and then the exit status is 1. `new_key`: the id of the key whose text is
            printed, and printed only this once.
    """

    text: str | Table
    data: Any
    warnings: list[str] = field(default_factory=list)
    new_key: str | None = None


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of a key's life."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Examples:
  {PROGRAM} create --name alice --rpm 60 --tpm 20000 --expires 90d --stack chatbot
  {PROGRAM} usage alice --by model --stack chatbot

Each command has its own help: {PROGRAM} create --help. More is in docs/keys.md.""",
)
def cli() -> None:
    """Make and manage the API keys of the chat and the todo API.

    The exit status is 0, 1 if the command failed, 2 if the command line is wrong, 130 after Ctrl-C.
    """


cli.params += options.shared_options()


def command(example: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Add a command, with the options that all commands have."""

    def add(function: Callable[..., Result]) -> Callable[..., Result]:
        name, epilog = example.split()[0], f"\b\nExample:\n  {PROGRAM} {example}"
        added = cli.command(name, epilog=epilog)(click.pass_obj(function))
        added.params += options.shared_options()
        return function

    return add


_KEY = click.argument("key", type=options.WHICH, metavar="ID")


@command("create --name alice --models default --rpm 60 --tpm 20000 --budget-tokens 1000000 --expires 90d")
@click.option("--name", required=True, type=options.NAME, help="Whose key it is, for `list`.")
@click.option(
    "--models",
    type=options.MODELS,
    multiple=True,
    help="The models it may use: names with commas, or one --models each. Default: all.",
)
@click.option("--rpm", type=options.COUNT, help="Requests a minute. Default: no limit.")
@click.option("--tpm", type=options.COUNT, help="Tokens a minute, with prompts. Default: no limit.")
@click.option("--concurrent", type=options.COUNT, help="Requests at a time. Default: no limit.")
@click.option("--budget-tokens", type=options.COUNT, help="Tokens in all. Default: no limit.")
@click.option(
    "--expires",
    type=options.FUTURE,
    help="When it ends: 90d, 12h or 30m from now, or a date such as 2027-01-31 (00:00 UTC). Default: never.",
)
@click.option(
    "--key-from-env",
    metavar="VARIABLE",
    help="The variable that holds the key itself, for a table on this machine. Default: a new, random key.",
)
def create(
    session: Session,
    name: str,
    models: Sequence[list[str]],
    rpm: int | None,
    tpm: int | None,
    concurrent: int | None,
    budget_tokens: int | None,
    expires: int | None,
    key_from_env: str | None,
) -> Result:
    """Make a key, and print it this once."""
    text = _chosen_key(session, key_from_env) if key_from_env is not None else new_key()
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        digest=digest(text),
        hint=hint(text),
        name=name,
        models=frozenset(model for names in models for model in names),
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        concurrent=concurrent,
        budget_tokens=budget_tokens,
        created_at=int(session.now),
        expires_at=expires,
    )
    store = session.store
    _hold_interrupts()
    store.add(key)
    said = f"Created {key.id} ({key.name}).\n\n{_once(text)}"
    return Result(said, {"key": text, **views.key_record(key, session.now)}, new_key=key.id)


@command("list --stack chatbot")
def list_(session: Session) -> Result:
    """List the keys, by name."""
    keys = sorted(session.store.all_keys(), key=lambda key: (key.name, key.created_at, key.id))
    none = f"No keys yet. Make the first: {PROGRAM} create --name alice"
    text = views.keys_table(keys, session.now) if keys else none
    return Result(text, [views.key_record(key, session.now) for key in keys])


@command("show alice")
@_KEY
def show(session: Session, key: str) -> Result:
    """Show all that is known of a key, what is left of its budget, and how many requests are running.

    ID is the key's id, the beginning of it, or its name.
    """
    found = select(session.store.all_keys(), key)
    running = session.store.running(found.id, session.now)
    spent = session.store.spent(found.id)
    data = {
        **views.key_record(found, session.now),
        "spent_tokens": spent,
        "running_requests": len(running),
        "reserved_tokens": sum(each.most for each in running),
    }
    return Result(views.key_details(found, spent, running, session.now), data)


@command("disable key_1f2e")
@_KEY
def disable(session: Session, key: str) -> Result:
    """Refuse a key from now on, within 30 s everywhere.

    ID is the key's id, the beginning of it, or its name.
    """
    found = _existing(session.store.set_disabled(select(session.store.all_keys(), key).id, True))
    said = (
        f"Disabled {found.id} ({found.name}). It is refused within 30 s everywhere."
        f"\nTo accept it again: {PROGRAM} enable {found.id}"
    )
    return Result(said, views.key_record(found, session.now))


@command("enable key_1f2e")
@_KEY
def enable(session: Session, key: str) -> Result:
    """Accept a disabled key again.

    ID is the key's id, the beginning of it, or its name.
    """
    found = _existing(session.store.set_disabled(select(session.store.all_keys(), key).id, False))
    said = f"Enabled {found.id} ({found.name}). It is accepted within 30 s everywhere."
    if found.expires_at is not None and views.state(found, session.now) == "expired":
        said = (
            f"Enabled {found.id} ({found.name}), but it expired on {views.clock(found.expires_at)} and is"
            f" still refused.\nMake another: {PROGRAM} create --help"
        )
    return Result(said, views.key_record(found, session.now))


@command("rotate alice")
@_KEY
def rotate(session: Session, key: str) -> Result:
    """Give a key a new text, print it this once, refuse the old one.

    ID is the key's id, the beginning of it, or its name. Its id, name, limits and spent budget stay.
    """
    text = new_key()
    selected = select(session.store.all_keys(), key)
    _hold_interrupts()
    found = _existing(session.store.rotate(selected.id, digest(text), hint(text)))
    said = (
        f"Rotated {found.id} ({found.name}). The old key is refused within 30 s everywhere.\n\n{_once(text)}"
    )
    state = views.state(found, session.now)
    if state != "active":
        said += f"\n\nIt is {state}, and refused as long as it is: {PROGRAM} show {found.id}"
    return Result(said, {"key": text, **views.key_record(found, session.now)}, new_key=found.id)


@command("usage alice --by model --since 7d")
@click.argument("key", type=options.WHICH, metavar="[ID]", required=False)
@click.option(
    "--by",
    type=click.Choice(("day", "model", "key")),
    default="day",
    show_default=True,
    help="What to add up; days are of UTC.",
)
@click.option(
    "--since",
    type=options.PAST,
    default="30d",
    show_default=True,
    help="30d ago, or a date such as 2026-11-01: from 00:00 UTC of that day.",
)
@click.option("--records", is_flag=True, help="List the requests of one key, the newest first.")
@click.option(
    "--limit", type=options.COUNT, default="100", show_default=True, help="How many requests to list."
)
def usage(session: Session, key: str | None, by: str, since: int, records: bool, limit: int) -> Result:
    """Add up what was used, in whole days of UTC.

    ID is the key's id, the beginning of it, or its name. Without it, all keys are added up, and the requests
    that had none.
    """
    keys = session.store.all_keys()
    until_ms = int(session.now * 1000) + 1
    if records:
        if not key:
            raise click.UsageError("Expected the ID of a key with --records, but got none.")
        return _records(session, select(keys, key), since, until_ms, limit)
    key_ids = [select(keys, key).id] if key else [NONE, *(each.id for each in keys)]
    store = session.store

    def used_by(key_id: str) -> list[tuple[str, str, str, UsageSum]]:
        store.running(key_id, session.now)  # those that have died are settled
        return [(key_id, *used) for used in store.sums(key_id, since * 1000, until_ms)]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        report = views.Report.of(chain.from_iterable(pool.map(used_by, key_ids)), by)
    text: str | Table = (
        f"No usage since {views.iso_day(since)}. Go further back with --since, as in --since 365d."
        "\nA request counts as soon as it has been answered."
    )
    if report.sums:
        names = {NONE: "(no key)", **{each.id: f"{each.name} {each.id}" for each in keys}}
        text = report.table(names if by == "key" else {})
    first = since - since % 86400
    times = {"since": views.iso_time(first), "until": views.iso_time(session.now)}
    data = {**times, "by": by, "key": key_ids[0] if key else None, "rows": report.records()}
    return Result(text, data)


def _records(session: Session, key: Key, since: int, until_ms: int, limit: int) -> Result:
    """List a key's newest records: no more of them are read than are listed."""
    listed = list(session.store.usage(key.id, since * 1000, until_ms, newest=limit))
    text: str | Table = f"No records since {views.iso_day(since)}. Go further back with --since 365d."
    if listed:
        text = views.records_table(listed)
    times = {"since": views.iso_time(since), "until": views.iso_time(session.now)}
    return Result(text, {**times, "key": key.id, "records": [asdict(each) for each in listed]})


@command("recount --stack chatbot")
def recount(session: Session) -> Result:
    """Add the records of earlier versions to what `usage` adds up, each once.

    It is safe to repeat, and to stop, and to run while requests come.
    """
    key_ids = [NONE, *(each.id for each in session.store.all_keys())]
    until_ms = int(session.now * 1000) + 1
    counted = sum(session.store.recount(key_id, until_ms) for key_id in key_ids)
    return Result(f"Added {views.counted(counted, 'record')} to the sums.", {"counted": counted})


@command("replay function.log")
@click.argument("file")
def replay(session: Session, file: str) -> Result:
    """Write the usage records of a log into the table, each once.

    FILE holds lines of the functions' logs; - reads standard input.
    """
    store, done = session.store, Replay()
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as lines:
            done.read(lines, store.put_usage)
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(
            f"Cannot read {file}: {reason}. Give the path of a log, or - for standard input."
        ) from error
    except KeysUnavailable as error:
        error.add_note(
            f"{views.counted(done.records, 'usage record')} {'was' if done.records == 1 else 'were'} written."
            " Replay the whole log again: each counts once."
        )
        raise
    warnings = [f"line {number}: {text}" for number, text in done.mistakes]
    if done.malformed_lines > len(warnings):
        warnings.append(f"and {done.malformed_lines - len(warnings):,} more.")
    said = (
        f"Wrote {views.counted(done.records, 'usage record')}; each counts once, however often it is"
        f" replayed.\nSkipped {views.counted(done.other_lines, 'other line')}"
        f" and {views.counted(done.malformed_lines, 'malformed record')}."
    )
    malformed = [{"line": number, "reason": text} for number, text in done.mistakes]
    counts = {"written": done.records, "skipped": done.other_lines, "malformed": done.malformed_lines}
    return Result(said, {**counts, "mistakes": malformed}, warnings)


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


def _chosen_key(session: Session, variable: str) -> str:
    """Return the key that a variable holds, which a command line would show to every user of the machine.

    Raises: UsageError, which does not quote it.
    """
    if not session.location.endpoint_url:
        raise click.UsageError(
            "Expected --key-from-env only with --endpoint (or DYNAMODB_ENDPOINT), for a table on this"
            " machine: a key that a person chose can be guessed. Leave it out, and a new key is made."
        )
    text = session.variables.get(variable, "")
    if not (text and text.isascii() and text.isprintable() and text == text.strip()):
        raise click.UsageError(
            f"Expected {variable} to hold a key, of printable ASCII without space around it, but got"
            f" {'something else' if text else 'nothing'}."
        )
    try:
        check_key(text)
    except MistypedKey as error:
        raise click.UsageError(
            f"Expected {variable} to hold a key, but got one with a typing mistake in it."
        ) from error
    return text


def _existing(key: Key | None) -> Key:
    if key is None:
        raise click.ClickException(f"The key was removed just now. What is there: {PROGRAM} list")
    return key


def _hold_interrupts() -> None:
    """Ignore Ctrl-C until the command ends: what is changed now is printed, too."""
    signal.signal(signal.SIGINT, lambda *_: None)


def _once(text: str) -> str:
    return f"  {text}\n\nKeep it now: it is not shown again, and only its SHA-256 is stored."
