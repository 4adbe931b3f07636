"""The recorded replies of real engines, see tests/recordings/README.md."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent / "recordings"
VLLM = "vllm-0.32.0"
LLAMA = "llama.cpp-b11549"


@dataclass(frozen=True)
class Recording:
    """One recorded reply, named `engine/case`; for other endpoints than chat, `endpoint/engine/case`."""

    engine: str
    case: str

    def __str__(self) -> str:
        return f"{self.engine}/{self.case}"

    @cached_property
    def raw(self) -> bytes:
        """Return every byte of the reply as it left the engine's socket."""
        return (ROOT / self.engine / f"{self.case}.raw.http").read_bytes()

    @cached_property
    def request(self) -> dict[str, Any]:
        """Return the request: method, path, headers, body. Raises FileNotFoundError where none was kept."""
        request: dict[str, Any] = json.loads((ROOT / self.engine / f"{self.case}.request.json").read_bytes())
        return request

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, names in lower case."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}

    @cached_property
    def body(self) -> bytes:
        """Return the body without its chunk framing."""
        body = self.raw.partition(b"\r\n\r\n")[2]
        return dechunked(body) if self.headers.get("transfer-encoding") == "chunked" else body

    @property
    def is_stream(self) -> bool:
        """Return whether the reply is an event stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def shape(self) -> object:
        """Return what the body is made of: members and types; of values, only why it finished."""
        parts = self.body.split(b"\n\n") if self.is_stream else [self.body]
        return (self.status, self.is_stream, frozenset(map(_shape_of_text, parts)))

    @property
    def request_shape(self) -> object:
        """Return what the request's body is made of."""
        return _shape(self.request["body"])


def dechunked(body: bytes) -> bytes:
    """Undo chunked transfer coding; a message cut short gives what arrived of it."""
    parts, position = [], 0
    while (line_end := body.find(b"\r\n", position)) > 0:
        size = int(body[position:line_end], 16)
        parts.append(body[line_end + 2 : line_end + 2 + size])
        position = line_end + 2 + size + 2
        if size == 0:
            break
    return b"".join(parts)


def recordings(pattern: str = "*/*") -> list[Recording]:
    """Return the recordings whose `engine/case` matches the glob, in order; at least one."""
    suffix = ".raw.http"
    paths = sorted(ROOT.glob(f"{pattern}{suffix}"))
    assert paths, f"expected a recording that matches {pattern!r} under {ROOT}, but got none"
    return [Recording(str(path.parent.relative_to(ROOT)), path.name.removesuffix(suffix)) for path in paths]


def distinct(recorded: Iterable[Recording], key: Callable[[Recording], object]) -> list[Recording]:
    """Return the first recording of each key, in order."""
    return list({key(each): each for each in reversed(list(recorded))}.values())[::-1]


def _shape_of_text(text: bytes) -> object:
    try:
        return _shape(json.loads(text.removeprefix(b"data: ")))
    except ValueError:
        return text[:6]


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return frozenset(
            (key, each if key == "finish_reason" else _shape(each)) for key, each in value.items()
        )
    return frozenset(map(_shape, value)) if isinstance(value, list) else type(value)


def recording(name: str) -> Recording:
    """Return the recording named `engine/case`."""
    return recordings(name)[0]


def request_bodies(path: str) -> dict[str, dict[str, Any]]:
    """Return recorded request bodies by case, from a file of them."""
    bodies: dict[str, dict[str, Any]] = json.loads((ROOT / path).read_bytes())
    return bodies
