"""HTTP alone, held to every rule of OpenAI's schemas and of an event stream (`tests/engines/schema.py`)."""

from typing import Any

import httpx

from tests.e2e.faults.clients.cases import MESSAGES, TOOLS, Outcome, Run, main
from tests.engines import schema


class Refused(Exception):
    """An error reply or an error event, in OpenAI's shape."""

    def __init__(self, error: dict[str, Any], status: int | None = None) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.status_code = status


def client(url: str, key: str) -> Run:
    """Return what runs one case."""
    http = httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30
    )

    async def run(case: dict[str, Any]) -> Outcome:
        fields = {"messages": MESSAGES, "tools": TOOLS, **case["fields"]}
        if case["mode"] == "stream":
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        reply = await http.post("/chat/completions", json=fields)
        if reply.status_code != 200:
            raise Refused(schema.validate_error(reply.json()), reply.status_code)
        kind = reply.headers["content-type"]
        if case["mode"] == "whole":
            assert kind == "application/json", kind
            return _whole(schema.validate_completion(reply.json()))
        assert kind == "text/event-stream; charset=utf-8", kind
        return _streamed(reply.content, fields.get("n", 1))

    return run


def _whole(value: dict[str, Any]) -> Outcome:
    choices = sorted(value["choices"], key=lambda choice: choice["index"])
    return {"choices": [_choice(each["message"], each["finish_reason"]) for each in choices], **_usage(value)}


def _choice(message: dict[str, Any], finish: str | None) -> Outcome:
    calls = [
        [call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls") or ()
    ]
    assert "tool_calls" not in message or calls, "expected no empty list of tool calls"
    content, reasoning = message["content"] or "", message.get("reasoning_content") or ""
    assert reasoning == (message.get("reasoning") or ""), "expected both names of the reasoning"
    return {"text": content, "reasoning": reasoning, "calls": calls, "finish": finish}


def _streamed(body: bytes, n: int) -> Outcome:
    for separator in ("\u2028", "\u2029", "\u0085"):
        assert separator.encode() not in body, f"expected {separator!r} as an escape"
    stream = schema.check_stream(body, include_usage=b'"usage":{' in body)
    if stream.error:
        raise Refused(stream.error)
    choices = []
    for index in range(n):
        deltas = [choice["delta"] for choice in stream.choices(index)]
        calls: dict[int, list[str]] = {}
        for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or ()):
            call = calls.setdefault(piece["index"], ["", ""])
            call[0] += piece["function"].get("name", "")
            call[1] += piece["function"].get("arguments", "")
        assert list(calls) == list(range(len(calls))), f"expected indices from 0, but got {list(calls)}"
        whole: dict[str, Any] = {
            name: "".join(delta.get(name) or "" for delta in deltas)
            for name in ("content", "reasoning_content", "reasoning")
        }
        choices.append({**_choice(whole, stream.finish_reason(index)), "calls": list(calls.values())})
    return {"choices": choices, **_usage(stream.chunks[-1])}


def _usage(value: dict[str, Any]) -> Outcome:
    usage = value.get("usage")
    return {"usage": usage and [usage["prompt_tokens"], usage["completion_tokens"]]}


if __name__ == "__main__":
    main(httpx.__version__, client, (Refused,))
