"""`python -m tests.tools.picture`: record `make run` and a streamed completion as `docs/terminal.svg`.

Both run for real, on port 8000. Lines appear when they did. Long lines are cut; what `make run` suggests and
the middle of the stream are left out. Where nothing moves (print, reduced motion), all lines are there.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "terminal.svg"
PORT = 8000
CURL = (
    f"curl -N http://localhost:{PORT}/v1/chat/completions -H 'Content-Type: application/json' \\",
    """  -d '{"model": "default", "stream": true, "messages": """
    """[{"role": "user", "content": "Tell me a joke"}]}'""",
)
COLUMNS, SHOWN_EVENTS = 106, 8
CHARACTER, LINE, MARGIN = 8.2, 19.0, 18.0
PAUSE_S, LAST_S = 1.2, 6.0
COLOURS = {"prompt": "#7ee787", "command": "#f0f6fc", "output": "#9aa4af", "event": "#79c0ff"}


@dataclass(frozen=True)
class Line:
    """One line of a terminal, and when it appeared."""

    at_s: float
    text: str
    kind: str = "output"


def lines_of(process: subprocess.Popen[str], began_s: float, kind: str) -> Iterator[Line]:
    """Yield a process's lines as they come."""
    for text in process.stdout or ():
        yield Line(time.monotonic() - began_s, text.rstrip("\n"), kind)


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program in a process group of its own, its output line by line."""
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def record() -> tuple[list[Line], list[Line]]:
    """Run both commands; return the lines of both terminals, on one clock."""
    subprocess.run((sys.executable, "infra/setup.py", "run"), cwd=ROOT, check=True)
    began_s = time.monotonic()
    service = start(("make", "run"))
    try:
        output = lines_of(service, began_s, "output")
        first = [Line(0, "make run", "command")]
        for line in output:
            first.append(line)
            if "Ctrl-C" in line.text:
                break
        typed_s = time.monotonic() - began_s + PAUSE_S
        time.sleep(PAUSE_S)
        second = [Line(typed_s, text, "command" if text.startswith("curl") else "more") for text in CURL]
        client = start(("bash", "-c", "\n".join(CURL).replace("curl", "curl -s")))
        second += [line for line in lines_of(client, began_s, "event") if line.text]
        first.append(next(line for line in output if "POST" in line.text))
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(10)
    return first, second


def shortened(lines: list[Line], first: int, last: int) -> list[Line]:
    """Keep the first lines and the last, and say how many were between them."""
    gap = replace(lines[first], text=f"… {len(lines) - first - last} more lines", kind="output")
    return [*lines[:first], gap, *lines[-last:]]


def draw(terminals: Sequence[Sequence[Line]]) -> str:
    """Return the terminals as one SVG, one below the other."""
    total_s = max(line.at_s for lines in terminals for line in lines) + LAST_S
    width = COLUMNS * CHARACTER + 2 * MARGIN
    top, drawn, moments = MARGIN, [], []
    for lines in terminals:
        height = (len(lines) + 1) * LINE
        drawn.append(
            f'<rect x="1" y="{top:.0f}" width="{width - 2:.0f}" height="{height + MARGIN:.0f}" rx="8" '
            'fill="#0d1117" stroke="#30363d"/>'
        )
        for row, line in enumerate(lines, 1):
            moments.append(line.at_s)
            drawn.append(_text(line, MARGIN, top + row * LINE + MARGIN / 3, f"m{len(moments)}"))
        top += height + 2 * MARGIN
    style = "".join(
        f"@keyframes m{number}{{0%,{100 * at_s / total_s:.2f}%{{opacity:0}}"
        f"{100 * at_s / total_s + 0.01:.2f}%,100%{{opacity:1}}}}"
        f".m{number}{{animation:m{number} {total_s:.1f}s infinite}}\n"
        for number, at_s in enumerate(moments, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {top:.0f}" font-size="13.6" '
        "font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n"
        f"<style>@media (prefers-reduced-motion: no-preference) {{\n{style}}}</style>\n"
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _text(line: Line, x: float, y: float, name: str) -> str:
    text = line.text if len(line.text) <= COLUMNS - 2 else line.text[: COLUMNS - 3] + "…"
    prompt = f'<tspan fill="{COLOURS["prompt"]}">$ </tspan>' if line.kind == "command" else ""
    colour = COLOURS.get(line.kind, COLOURS["command"])
    length = (len(text) + 2 * bool(prompt)) * CHARACTER
    return (
        f'<text class="{name}" x="{x:.0f}" y="{y:.0f}" xml:space="preserve" fill="{colour}" '
        f'textLength="{length:.0f}" lengthAdjust="spacingAndGlyphs">{prompt}{escape(text)}</text>'
    )


def main() -> str | None:
    """Write the picture; return the text to fail with."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            return f"Expected port {PORT} to be free. Stop what listens there."
    first, second = record()
    FILE.write_text(draw((shortened(first, 9, 3), shortened(second, len(CURL) + SHOWN_EVENTS, 2))))
    print(f"Written: {FILE.relative_to(ROOT)}")
    return None


if __name__ == "__main__":
    sys.exit(main())
