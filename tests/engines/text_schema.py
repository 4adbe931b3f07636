"""What `/v1/completions` and `/v1/embeddings` may send: OpenAI's schemas, and the rules of their streams.

Everything raises AssertionError with the rule that was broken.
Source: openai/openai-openapi 2.3.0, the subsets in tests/reference.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.engines import schema
from tests.engines.definition import Definition

Json = dict[str, Any]
COMPLETION_KEYS = {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"}
CHOICE_KEYS = {"index", "text", "logprobs", "finish_reason"}


@dataclass(frozen=True)
class TextStream:
    """A stream that obeys every rule. `error` is None for one that succeeded."""

    chunks: list[Json]
    error: Json | None

    def text(self, index: int = 0) -> str:
        """Return the text of one choice."""
        return "".join(choice["text"] for choice in self.choices(index))

    def choices(self, index: int = 0) -> list[Json]:
        """Return the pieces of one choice, in order."""
        return [choice for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == index]

    @property
    def usage(self) -> Json | None:
        """Return the usage of the last chunk, if it has one."""
        return self.chunks[-1].get("usage") if self.chunks else None


def validate_completion(value: Json, *, n: int = 1) -> Json:
    """Check a whole completion of so many choices, which come in order."""
    _validated("completions", "CreateCompletionResponse", value)
    _check_completion(value)
    assert [choice["index"] for choice in value["choices"]] == list(range(n))
    return value


def check_stream(body: bytes, *, n: int = 1, include_usage: bool = False) -> TextStream:
    """Check the raw bytes of a stream, succeeded or failed."""
    assert body.endswith(b"data: [DONE]\n\n")
    assert b"\r" not in body
    lines = body.decode().removesuffix("\n\n").split("\n\n")
    assert all(line.startswith("data: ") and "\n" not in line for line in lines)
    values = [json.loads(line[6:]) for line in lines[:-1]]
    error = schema.validate_error(values.pop()) if values and "error" in values[-1] else None
    for key in ("id", "object", "created", "model"):
        assert len({value[key] for value in values}) <= 1
    for value in values:
        _validated("completions", "Chunk", value)
        _check_completion(value)
    stream = TextStream(values, error)
    for index in range(n):
        reasons = [choice["finish_reason"] for choice in stream.choices(index)]
        assert not any(reasons[:-1])
        assert error or reasons[-1]
    has_usage = [value for value in values if value.get("usage") or not value["choices"]]
    assert has_usage == ([values[-1]] if include_usage and not error else [])
    return stream


def validate_embeddings(value: Json, *, count: int, is_base64: bool = False) -> list[list[float]]:
    """Check a list of embeddings; return the numbers of each."""
    decoded = copy.deepcopy(value)
    for entry in decoded["data"]:
        assert isinstance(entry["embedding"], str) is is_base64
        if is_base64:
            raw = base64.b64decode(entry["embedding"], validate=True)
            entry["embedding"] = list(struct.unpack(f"<{len(raw) // 4}f", raw))
    _validated("embeddings", "CreateEmbeddingResponse", decoded)
    assert value.keys() == {"object", "data", "model", "usage"}
    assert value["usage"].keys() == {"prompt_tokens", "total_tokens"}
    assert all(entry.keys() == {"object", "index", "embedding"} for entry in value["data"])
    assert [entry["index"] for entry in value["data"]] == list(range(count))
    numbers: list[list[float]] = [entry["embedding"] for entry in decoded["data"]]
    assert len({len(each) for each in numbers}) == 1
    assert all(math.isfinite(number) for each in numbers for number in each)
    return numbers


def _check_completion(value: Json) -> None:
    assert value["id"].startswith("cmpl-")
    assert "chat" not in value["id"]
    assert value.keys() <= COMPLETION_KEYS
    assert value.get("system_fingerprint") != "b0-unknown"
    for choice in value["choices"]:
        assert choice.keys() == CHOICE_KEYS
        if logprobs := choice["logprobs"]:
            assert {len(each) for each in logprobs.values()} == {len(logprobs["tokens"])}
            assert logprobs.keys() == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}


@cache
def _definition(subset: str, name: str) -> Definition:
    path = schema.REFERENCE / f"openai_{subset}_subset.json"
    definitions = json.loads(path.read_bytes())["$defs"]
    if subset == "completions":  # OpenAI's own streams have null until a choice ends
        chunk = definitions["Chunk"] = copy.deepcopy(definitions["CreateCompletionResponse"])
        reason = chunk["properties"]["choices"]["items"]["properties"]["finish_reason"]
        reason |= {"type": ["string", "null"], "enum": [*reason["enum"], None]}
    return Definition(name, definitions)


def _validated(subset: str, name: str, value: Json) -> None:
    _definition(subset, name).check(value)
