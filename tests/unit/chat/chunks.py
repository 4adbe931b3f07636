"""Chunks as vLLM writes them, by hand."""

import json
from collections.abc import Iterator
from typing import Any

from tests.engines.behaviours import split_every

MODEL = "tiny"
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2}


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: object) -> bytes:
    return b"data: " + dumps(value) + b"\n\n"


def chunk(*choices: Any, **fields: Any) -> dict[str, Any]:
    """Return a chunk; a field that is `...` is left out."""
    identity = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795373005, "model": MODEL}
    whole = {**identity, "choices": list(choices), **fields}
    return {key: value for key, value in whole.items() if value is not ...}


def choice(delta: Any, finish: Any = None, *, index: Any = 0, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **fields}


def role(index: int = 0, **fields: Any) -> bytes:
    return event(chunk(choice({"role": "assistant", "content": ""}, index=index), **fields))


def word(text: str = " word", index: int = 0, **fields: Any) -> bytes:
    return event(chunk(choice({"content": text}, index=index), **fields))


def finish(reason: Any = "stop", index: int = 0, **fields: Any) -> bytes:
    return event(chunk(choice({"content": ""}, reason, index=index), **fields))


def usage(**fields: Any) -> bytes:
    return event(chunk(**{"usage": USAGE, **fields}))


GOOD = role() + word(" one") + word(" two") + finish() + DONE
SPLITS = ("1 byte", "3 bytes", "7 bytes", "per event")


def cut(body: bytes, how: str) -> Iterator[bytes]:
    """Cut a body as one of SPLITS says."""
    if how != "per event":
        return split_every(body, int(how[0]))
    return (part + b"\n\n" for part in body.removesuffix(b"\n\n").split(b"\n\n"))
