"""What a caller reads: the pieces of a stream put together as SDKs do it, or a whole reply."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from functions.chat.engines.engine import Event, Failure, Reply
from functions.chat.errors import ApiError
from functions.chat.streams.chat import ChatReply
from tests.engines import schema
from tests.unit.chat.chunks import MODEL
from tests.unit.chat.passing import Passed


@dataclass
class Said:
    """One choice, put together. `calls`: (id, name, arguments)."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    finish: str | None = None


def said_in(result: Passed, *, usage: bool = False, n: int = 1) -> list[Said]:
    """Put a stream's choices together; it must have ended well, and obey the contract."""
    assert result.failure is None, result.failure
    chunks = schema.validate_stream(result.out, include_usage=usage)
    return [_streamed([c for chunk in chunks for c in chunk["choices"] if c["index"] == i]) for i in range(n)]


def _streamed(choices: Iterable[dict[str, Any]]) -> Said:
    said = Said()
    for choice in choices:
        delta = choice["delta"]
        assert delta.get("reasoning") == delta.get("reasoning_content")
        said.text += delta.get("content") or ""
        said.reasoning += delta.get("reasoning") or ""
        said.refusal += delta.get("refusal") or ""
        said.finish = said.finish or choice["finish_reason"]
        for piece in delta.get("tool_calls", ()):
            if piece["index"] == len(said.calls):
                assert piece["type"] in ("function", "custom")
                said.calls.append((piece["id"], piece[piece["type"]]["name"], ""))
            else:
                assert not piece.keys() & {"id", "type"}
            call_id, name, text = said.calls[piece["index"]]
            inner = piece.get("function") or piece["custom"]
            said.calls[piece["index"]] = (
                call_id,
                name,
                text + (inner.get("arguments") or inner.get("input") or ""),
            )
    return said


def whole(value: Any, *, n: int = 1, expects_call: bool = False) -> dict[str, Any] | ApiError:
    """Read a whole reply; return it, or the failure in its place."""
    reader = ChatReply(model=MODEL, n=n, request_id="abc", expects_call=expects_call)
    body = json.dumps(value).encode()
    events: list[Event] = [*reader.feed(body[:7]), *reader.feed(body[7:]), *reader.flush()]
    if isinstance(events[0], Failure):
        return events[0].error
    assert isinstance(events[0], Reply)
    return schema.validate_completion(events[0].value)


def said_by(reply: dict[str, Any] | ApiError) -> list[Said]:
    """Return what the choices of a whole reply say."""
    assert isinstance(reply, dict), reply
    return [_whole(choice) for choice in reply["choices"]]


def _whole(choice: dict[str, Any]) -> Said:
    message = choice["message"]
    assert message.get("reasoning") == message.get("reasoning_content")
    calls = []
    for call in message.get("tool_calls", ()):
        inner = call[call["type"]]
        calls.append((call["id"], inner["name"], inner.get("arguments", inner.get("input"))))
    return Said(
        text=message["content"] or "",
        reasoning=message.get("reasoning") or "",
        refusal=message["refusal"] or "",
        calls=calls,
        finish=choice["finish_reason"],
    )
