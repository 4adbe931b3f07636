"""`python -m functions.keys`: make and manage API keys."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TextIO

from functions.shared.aws import Aws
from functions.shared.table import Table, table_from_stack

from . import commands
from .advice import explained
from .arguments import parse
from .commands import Answer, Store
from .errors import CommandFailed, redacted
from .own_key import own_key
from .place import Place

_INTERRUPTED = 130
_READER_LEFT = 141


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; return the exit status."""
    logging.getLogger().addHandler(logging.NullHandler())  # what went wrong is said once, by us
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _answer(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on, as after `| head`; nor what Python would say of it when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_LEFT


def _answer(arguments: Sequence[str]) -> int:
    now = time.time()
    asked = parse(arguments, now)
    try:
        place = Place.from_arguments(asked, os.environ)
        text = own_key(asked, place, os.environ)
        with explained(place):
            place = _with_table(place)
        with explained(place):
            answer = _run(asked, _store(place), now, text)
    except CommandFailed as error:
        _complain(str(error))
        return error.status
    print(json.dumps(answer.data, indent=2, ensure_ascii=False) if asked.json else answer.text, flush=True)
    for warning in answer.warnings:
        _complain(warning)
    return 1 if answer.warnings else 0


def _with_table(place: Place) -> Place:
    if place.table:
        return place
    aws = Aws(region=place.region)
    return replace(place, table=table_from_stack(place.stack or "", aws=aws, endpoint_url=place.endpoint_url))


def _store(place: Place) -> Store:
    return Table(place.table or "", aws=Aws(region=place.region), endpoint_url=place.endpoint_url)


def _run(asked: Namespace, store: Store, now: float, text: str | None) -> Answer:
    match asked.command:
        case "create":
            return commands.create(
                store,
                now,
                name=asked.name,
                models=asked.models,
                requests_per_minute=asked.rpm,
                tokens_per_minute=asked.tpm,
                budget_tokens=asked.budget_tokens,
                expires_at=asked.expires,
                text=text,
            )
        case "list":
            return commands.list_keys(store, now)
        case "show":
            return commands.show(store, asked.key, now)
        case "disable":
            return commands.disable(store, asked.key, now)
        case "enable":
            return commands.enable(store, asked.key, now)
        case "rotate":
            return commands.rotate(store, asked.key, now)
        case "usage":
            return commands.usage(store, asked.key, asked.by, asked.since, now)
    with _opened(asked.file) as lines:
        return commands.replay(store, lines)


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    """Open a log; bytes that are no UTF-8 harm nothing."""
    if file == "-":
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        yield sys.stdin
        return
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            yield lines
    except OSError as error:
        raise CommandFailed(
            f"Cannot read {file}: {error.strerror}. Give the path of a log, or - for standard input."
        ) from error


def _complain(text: str) -> None:
    print(redacted(text), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
