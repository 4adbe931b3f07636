"""CDK's command line, run to its end while what it prints is read."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence

from infra.paths import ROOT, search_path

CDK = str(ROOT / "node_modules" / ".bin" / "cdk")
ALWAYS = ("--no-notices", "--no-color")
_PAUSE_S = 0.5
_END_S = 15.0
# Command, what gets its lines, what is called meanwhile → its exit status.
Run = Callable[[Sequence[str], Callable[[str], None], Callable[[], None]], int]


def run(command: Sequence[str], on_line: Callable[[str], None], on_pause: Callable[[], None]) -> int:
    """Run a command in this clone; return its exit status.

    Shape:  `on_line` gets each line that it prints; `on_pause` is called about twice a second.
    Raises: KeyboardInterrupt, after the command has ended, too.
    """
    environment = {**os.environ, "PATH": search_path(), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout
    output, lines = process.stdout, queue.SimpleQueue[str | None]()

    def read() -> None:
        for line in output:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            try:
                line = lines.get(timeout=_PAUSE_S)
            except queue.Empty:
                line = ""
            if line is None:
                return process.wait()
            if line:
                on_line(line)
            on_pause()
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a command that still runs: Ctrl-C has reached it already, a signal to this process has not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
