"""`python -m functions.keys`: make and manage API keys."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from .delivery import BROKEN_PIPE, StdoutUnusable, arrived

if TYPE_CHECKING:
    from .group import Result
    from .session import Session

_FAILED = 1
_WRONG_COMMAND_LINE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    logging.getLogger().addHandler(logging.NullHandler())  # errors are printed once, here
    if sys.stderr is None:  # as after `2>&-`
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None or sys.stdin is None:
        return _report("Expected standard input and output to be open, but one is closed. Leave both open.")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from .session import Session

        return run(arguments, Session(time.time(), os.environ))
    except ModuleNotFoundError as error:
        return _report(
            f"The package {error.name} is not installed for this Python. Run make run once, then use the"
            " clone's own: .venv/bin/python -m functions.keys"
        )
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        return _report(f"Cannot print the result: {error.strerror}. Free some space, or print it elsewhere.")
    finally:
        # Of a reader that has gone, as after `| head`, Python would complain once more at exit.
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str], session: Session) -> int:
    """Run a command in a session, print its result or what was wrong, and return the exit status."""
    import click

    from functions.shared.keys import KeysUnavailable, KeyTaken

    from .commands import cli
    from .session import PROGRAM, advice

    try:
        with cli.make_context(PROGRAM, [*arguments], obj=session) as context:
            result: Result = cli.invoke(context)
        return _print(result, as_json="json" in session.options)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        return _report(error.format_message(), status=_WRONG_COMMAND_LINE)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        return _report(f"{error.format_message()}\nHelp: {command} --help", status=_WRONG_COMMAND_LINE)
    except StdoutUnusable as error:
        return _report(str(error), status=error.status)
    except click.ClickException as error:
        return _report(error.format_message())
    except KeysUnavailable as error:
        return _report("\n".join((advice(str(error), session.location), *getattr(error, "__notes__", ()))))
    except KeyTaken as error:
        return _report(f"{error} Run the same command again.")
    finally:
        session.held_signals.release()


def _print(result: Result, *, as_json: bool) -> int:
    from .characters import visible
    from .tables import render

    new = result.new_text
    try:
        if (as_json or result.pieces) and hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        if result.pieces:
            sys.stdout.writelines(result.pieces)
            sys.stdout.flush()
            return 0
        if as_json:
            text = json.dumps(result.data, indent=2, ensure_ascii=False)
        else:
            text = visible(result.text) if isinstance(result.text, str) else render(result.text)
        print(text, flush=True)
    except OSError as error:
        if new:
            _report(f"The new key could not be printed: {error.strerror}. {new.lost()}")
        raise
    if new and not arrived():
        return _report(f"The new key was printed, but may have reached no one. {new.unread()}")
    more = new.finish() if new else ""
    if more and not as_json:
        print(visible(more), flush=True)
    for text in (*result.notes, *result.warnings):
        _report(text)
    return _FAILED if result.warnings else 0


def _report(text: str, *, status: int = _FAILED) -> int:
    """Print what was wrong, without keys, which may have been typed in the wrong place."""
    from functions.shared.key_text import without_keys

    from .characters import visible

    with suppress(OSError):  # of a terminal that was closed
        print(visible(without_keys(text), sys.stderr), file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    gc.set_threshold(100_000, 50, 100)  # items are no garbage: looking for some took most of a query's time
    sys.exit(main(sys.argv[1:]))
