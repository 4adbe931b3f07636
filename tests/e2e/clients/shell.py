"""Runs the commands of clients that are used at a command line."""

import os
import subprocess
from collections.abc import Iterator

TIMEOUT_S = 25


class CommandFailed(Exception):
    """A command ended with another exit status than 0, without a traceback."""


def shell(command: str, model: str = "") -> str:
    """Run a command; return what it printed. Raises: CommandFailed with its errors."""
    return "".join(shell_pieces(command, model)).strip()


def shell_pieces(command: str, model: str) -> Iterator[str]:
    """Run a command; yield what it prints as it comes. Raises: CommandFailed with its errors."""
    with subprocess.Popen(
        ("sh", "-c", command),
        env={**os.environ, "MODEL": model},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        while piece := os.read(process.stdout.fileno(), 65536):
            yield piece.decode()
        errors = process.stderr.read().decode()
        status = process.wait(TIMEOUT_S)
    assert "Traceback" not in errors, errors
    if status:
        raise CommandFailed(errors[-500:])
