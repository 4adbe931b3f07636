"""What the API may send: OpenAI's schemas, and the wire rules of an event stream.

Everything raises AssertionError with the rule that was broken.
Source: openai/openai-openapi 2.3.0, the subset in tests/reference; the stream rules were measured with the
official SDKs, langchain, litellm and others (2026-11-22).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from tests.engines.definition import Definition

Json = dict[str, Any]
REFERENCE = Path(__file__).resolve().parent.parent / "reference"
SUBSET = REFERENCE / "openai_chat_subset.json"
VLLM = REFERENCE / "vllm_chat_request.json"
DONE = "[DONE]"
ERROR_KEYS = {"message", "type", "param", "code"}


@dataclass(frozen=True)
class CheckedStream:
    """A stream that obeys every rule. `error` is None for one that succeeded."""

    chunks: list[Json]
    error: Json | None
    comments: list[str]

    @property
    def usage(self) -> Json | None:
        """Return the usage of the last chunk, if it has one."""
        usage: Json | None = self.chunks[-1].get("usage") if self.chunks else None
        return usage

    def choices(self, index: int = 0) -> list[Json]:
        """Return the parts of one choice, in order."""
        return [choice for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == index]

    def text(self, index: int = 0) -> str:
        """Return the content of one choice."""
        return "".join(choice["delta"].get("content") or "" for choice in self.choices(index))

    def finish_reason(self, index: int = 0) -> str | None:
        """Return the finish reason of one choice; None if the stream failed before."""
        return next((c["finish_reason"] for c in self.choices(index) if c["finish_reason"]), None)


@dataclass(frozen=True)
class StreamFailed:
    """A stream that failed as it should: the chunks before, then the error (message, type, param, code)."""

    chunks: list[Json]
    error: Json


def validate_completion(value: object) -> Json:
    """Check a whole completion."""
    completion = _validated("CreateChatCompletionResponse", value)
    _require(bool(completion["choices"]), "expected at least one choice, but got none")
    return completion


def validate_chunk(value: object) -> Json:
    """Check one chunk of a stream by itself."""
    return _validated("CreateChatCompletionStreamResponse", value)


def validate_error(value: object) -> Json:
    """Check an error body, exactly the four keys so that nothing of the engine's leaks; return the error."""
    body = _validated("ErrorResponse", value)
    error: Json = body["error"]
    _require(set(body) == {"error"}, f"expected the one key 'error', but got {sorted(body)}")
    _require(set(error) == ERROR_KEYS, f"expected error keys {sorted(ERROR_KEYS)}, but got {sorted(error)}")
    return error


def validate_models(value: object) -> Json:
    """Check a list of models."""
    return _validated("ListModelsResponse", value)


def validate_request(value: object) -> Json:
    """Check a request body."""
    return _validated("CreateChatCompletionRequest", value)


def validate_stream(body: bytes, *, include_usage: bool = False, n: int | None = None) -> list[Json]:
    """Check a stream that must have succeeded; return its chunks."""
    stream = check_stream(body, include_usage=include_usage, n=n)
    _require(stream.error is None, f"expected a stream without error, but got {stream.error}")
    return stream.chunks


def validate_failed_stream(body: bytes, *, include_usage: bool = False) -> StreamFailed:
    """Check a stream that must have ended with an error."""
    stream = check_stream(body, include_usage=include_usage)
    if stream.error is None:
        _fail("expected an error event before [DONE], but got a stream that ended well")
    return StreamFailed(stream.chunks, stream.error)


def check_stream(
    body: bytes, *, include_usage: bool = False, continuous_usage: bool = False, n: int | None = None
) -> CheckedStream:
    """Check the raw bytes of a stream, succeeded or failed.

    `include_usage`, `continuous_usage`: as in the request. `n`: the requested number of choices, if it is
    to be checked.
    """
    comments: list[str] = []
    data = list(_data_of(body, comments))
    _require(data[-1:] == [DONE], f"expected the stream to end with {DONE}, but got {data[-1:]}")
    _require(data.count(DONE) == 1, f"expected {DONE} once, but got it {data.count(DONE)} times")
    _require(body.endswith(b"data: [DONE]\n\n"), f"expected nothing after {DONE}, but got {body[-20:]!r}")
    values = [_one_object(line) for line in data[:-1]]
    error = validate_error(values.pop()) if values and "error" in values[-1] else None
    chunks = [validate_chunk(value) for value in values]
    _check_sameness(chunks)
    _check_choices(chunks, failed=error is not None, n=n)
    _check_usage(chunks, include_usage, continuous_usage, failed=error is not None)
    return CheckedStream(chunks, error, comments)


def _data_of(body: bytes, comments: list[str]) -> Iterator[str]:
    _require(b"\r" not in body, "expected line ends of LF only, but got a CR")
    _require(body.endswith(b"\n\n"), f"expected a blank line at the end, but got {body[-20:]!r}")
    for event in body.decode().removesuffix("\n\n").split("\n\n"):
        _require("\n" not in event, f"expected one line per event, but got {event!r}")
        if event.startswith(": ") and len(event) > 2:
            comments.append(event[2:])
        else:
            _require(event.startswith("data: "), f"expected 'data: ...' or ': ...', but got {event!r}")
            yield event.removeprefix("data: ")


def _one_object(line: str) -> Json:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except ValueError:
        _fail(f"expected JSON after 'data: ', but got {line!r}")
    if not isinstance(value, dict):
        _fail(f"expected a JSON object after 'data: ', but got {line!r}")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_sameness(chunks: list[Json]) -> None:
    for key in ("id", "object", "created", "model"):
        values = {chunk[key] for chunk in chunks}
        _require(len(values) <= 1, f"expected one {key} in all chunks, but got {values}")


def _check_choices(chunks: list[Json], *, failed: bool, n: int | None) -> None:
    by_index: dict[int, list[Json]] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        by_index.setdefault(choice["index"], []).append(choice)
    for index, choices in by_index.items():
        _check_first(index, choices[0])
        _check_finish(index, [choice["finish_reason"] for choice in choices], failed=failed)
        _check_tool_calls(index, choices)
    if not failed:
        expected = set(range(n)) if n else set(by_index) or {0}
        _require(set(by_index) == expected, f"expected choices {expected}, but got {set(by_index)}")


def _check_first(index: int, choice: Json) -> None:
    delta = choice["delta"]
    first = delta.get("role") == "assistant" and isinstance(delta.get("content"), str)
    _require(first, f"expected role and content in the first delta of choice {index}, but got {delta}")


def _check_finish(index: int, reasons: list[str | None], *, failed: bool) -> None:
    early = [reason for reason in reasons[:-1] if reason is not None]
    _require(not early, f"expected nothing of choice {index} after its finish_reason, but got {reasons}")
    _require(failed or reasons[-1] is not None, f"expected a finish_reason of choice {index}, but got none")


def _check_tool_calls(index: int, choices: list[Json]) -> None:
    begun: set[int] = set()
    for call in (call for choice in choices for call in choice["delta"].get("tool_calls") or ()):
        function = call.get("function", {})
        named = call.get("id") and call.get("type") == "function" and function.get("name")
        if call["index"] not in begun:
            _require(bool(named), f"expected id, type and name in a call's first delta, but got {call}")
            begun.add(call["index"])
        else:
            _require(
                "id" not in call, f"expected arguments only in choice {index}'s later delta, but got {call}"
            )


def _check_usage(chunks: list[Json], include_usage: bool, continuous: bool, *, failed: bool) -> None:
    if not include_usage:
        extra = [chunk for chunk in chunks if "usage" in chunk or not chunk["choices"]]
        _require(not extra, f"expected no usage and no chunk without choices, but got {extra[:1]}")
        return
    last = bool(chunks) and _is_usage_chunk(chunks[-1])
    _require(failed or last, "expected usage in a last chunk with choices [], but got none")
    others = chunks[:-1] if last else chunks
    has_early = [chunk.get("usage") is not None and not continuous for chunk in others]
    early = [chunk for chunk, has in zip(others, has_early, strict=True) if has or not chunk["choices"]]
    _require(not early, f"expected usage null or absent before the last chunk, but got {early[:1]}")


def _is_usage_chunk(chunk: Json) -> bool:
    return chunk["choices"] == [] and isinstance(chunk.get("usage"), dict)


def validate_engine_request(value: Json, *, reasoning: str | None) -> None:
    """Check a request to an engine by vLLM's own schema, with no null and no member that it does not know.

    `reasoning`: what this engine calls it.
    """
    for message in value["messages"]:
        if reasoning in message:
            message["reasoning"] = message.pop(reasoning)
    _vllm_request().check(value)


@cache
def _vllm_request() -> Definition:
    definitions = json.loads(VLLM.read_bytes())["$defs"]
    for definition in definitions.values():
        _make_strict(definition)
    return Definition("ChatCompletionRequest", definitions)


def _make_strict(definition: Any) -> None:
    """Take null and unknown members out of what a schema accepts, in place."""
    if isinstance(definition, dict):
        if "properties" in definition:
            definition["additionalProperties"] = False
        if "anyOf" in definition:
            definition["anyOf"] = [each for each in definition["anyOf"] if each.get("type") != "null"]
    for child in definition.values() if isinstance(definition, dict) else definition:
        if isinstance(child, dict | list):
            _make_strict(child)


@cache
def _definition(name: str) -> Definition:
    return Definition(name, json.loads(SUBSET.read_bytes())["$defs"])


def _validated(name: str, value: object) -> Json:
    _definition(name).check(value)
    if not isinstance(value, dict):
        _fail(f"expected an object, but got {value!r}")
    return value


def _require(condition: bool, text: str) -> None:
    if not condition:
        _fail(text)


def _fail(text: str) -> NoReturn:
    raise AssertionError(text)
