"""What `/v1/responses` may send: OpenAI's schemas, and the order of a stream's events.

Everything raises AssertionError with the rule that was broken.
Source: openai/openai-openapi 2.3.0, the subset in tests/reference; the order is what the official SDKs,
agents and Codex were measured to need (2026-11-26).
"""

import json
from functools import cache
from typing import Any

from tests.engines.definition import Definition
from tests.engines.schema import REFERENCE

Json = dict[str, Any]
SUBSET = REFERENCE / "openai_responses_subset.json"
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
# A delta and what closes it → the member of the latter that has the whole text.
TEXTS = {
    "response.output_text": "text",
    "response.reasoning_text": "text",
    "response.refusal": "refusal",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


def validate_response(value: object) -> Json:
    """Check a whole response."""
    response = _validated("Response", value)
    assert response["status"] in ("completed", "incomplete", "in_progress", "failed")
    assert "output_text" not in response, "output_text is the SDKs' own"
    ids = [item["id"] for item in response["output"]]
    assert len(ids) == len(set(ids)), f"expected an id of its own for each item, but got {ids}"
    return response


def check_response_stream(body: bytes) -> Json:
    """Check a stream, succeeded or failed; return the response of its last event.

    Comments may stand anywhere. A failed one has an `error` event before its last.
    """
    return StreamCheck().check(body)


class StreamCheck:
    """Reads a stream as a client does, and holds each event against what came before."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.open: Json | None = None
        self.part: Json | None = None
        self.text: str | None = None
        self.errors: list[Json] = []

    def check(self, body: bytes) -> Json:
        """Check all events."""
        events = events_of(body)
        assert [each["sequence_number"] for each in events] == list(range(len(events)))
        assert [each["type"] for each in events[:2]] == ["response.created", "response.in_progress"]
        first = events[0]["response"]
        assert first == events[1]["response"]
        assert (first["status"], first["output"]) == ("in_progress", [])
        assert not {"usage", "completed_at"} & first.keys()
        for event in events[2:-1]:
            assert not self.errors, "expected nothing but response.failed after an error"
            self.take(event)
        return self.end(first, events[-1])

    def take(self, event: Json) -> None:
        """Take one event between the first two and the last."""
        kind = event["type"]
        stem, _, what = kind.rpartition(".")
        if kind == "error":
            self.errors.append(event)
        elif kind == "response.output_item.added":
            assert self.open is None, "expected the last item to be closed"
            assert event["output_index"] == len(self.items)
            self.open = event["item"]
            assert self.open.get("status", "in_progress") == "in_progress"
            assert self.open.get("content", []) == []
            self.text = "" if self.open["type"].endswith("_call") else None
        elif kind == "response.output_item.done":
            assert self.open is not None
            assert self.part is None
            item = event["item"]
            assert event["output_index"] == len(self.items)
            assert (item["id"], item["type"]) == (self.open["id"], self.open["type"])
            assert self.text is None, f"expected a {item['type']} to be done"
            assert [*item.get("content", ())] == self.open.get("content", [])
            self.items.append(item)
            self.open = None
        else:
            assert self.open is not None, f"expected an open item for {kind}"
            assert event["item_id"] == self.open["id"]
            assert event["output_index"] == len(self.items)
            if "content_index" in event:
                assert event["content_index"] == len(self.open["content"])
            self.take_part(stem, what, event)

    def take_part(self, stem: str, what: str, event: Json) -> None:
        """Take an event of a part, or of a call's arguments."""
        assert self.open is not None
        if stem == "response.content_part":
            if what == "added":
                assert self.part is None
                assert "" in (event["part"].get("text"), event["part"].get("refusal"))
                self.part, self.text = event["part"], ""
            else:
                assert self.part is not None
                assert event["part"]["type"] == self.part["type"]
                assert self.text is None, "expected the text to be done before its part"
                self.open["content"].append(event["part"])
                self.part = None
        elif what == "delta":
            assert event["delta"] != ""
            assert self.text is not None
            assert self.part is None or stem == f"response.{self.part['type']}"
            self.text += event["delta"]
        else:
            assert what == "done"
            assert event[TEXTS[stem]] == self.text
            self.text = None

    def end(self, first: Json, event: Json) -> Json:
        """Take the last event."""
        assert event["type"] in TERMINAL, f"expected the stream to end, but got {event['type']}"
        response = validate_response(event["response"])
        assert event["type"] == f"response.{response['status']}"
        changing = {"status", "output", "usage", "completed_at", "incomplete_details", "error"}
        kept = {name: value for name, value in response.items() if name not in changing}
        assert kept == {name: value for name, value in first.items() if name not in changing}
        assert (response["status"] == "completed") == ("completed_at" in response)
        assert (response["status"] == "incomplete") == (response["incomplete_details"] is not None)
        assert (response["status"] == "failed") == bool(self.errors) == (response["error"] is not None)
        if response["status"] == "failed":
            assert response["output"][: len(self.items)] == self.items
            assert len(response["output"]) == len(self.items) + (self.open is not None)
        else:
            assert self.open is None
            assert response["output"] == self.items != []
            assert response["usage"]["total_tokens"] >= 0
        return response


def events_of(body: bytes) -> list[Json]:
    """Return the events of a stream, each valid by itself; comments are left out."""
    assert b"\r" not in body
    assert body.endswith(b"\n\n")
    events = []
    for text in body.decode().removesuffix("\n\n").split("\n\n"):
        if text.startswith(":"):
            continue
        name, data = text.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] == "error":
            assert event["error"]["message"] == event["message"]
        events.append(_validated(_definition_of(event["type"]), event))
    return events


def text_of(response: Json) -> str:
    """Return the text of a response, as the SDKs' `output_text` does."""
    parts = [part for item in response["output"] for part in item.get("content", ())]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


@cache
def _definitions() -> Json:
    definitions: Json = json.loads(SUBSET.read_bytes())["$defs"]
    return definitions


@cache
def _definition_of(kind: str) -> str:
    """Return the name of the schema of an event."""
    names = [
        name
        for name, schema in _definitions().items()
        if schema.get("properties", {}).get("type", {}).get("enum") == [kind] and name.endswith("Event")
    ]
    assert names, f"expected an event of OpenAI's, but got {kind!r}"
    return names[0]


@cache
def _definition(name: str) -> Definition:
    return Definition(name, _definitions())


def _validated(name: str, value: object) -> Json:
    _definition(name).check(value)
    assert isinstance(value, dict)
    return value
