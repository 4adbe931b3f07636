"""Every kind of error in `docs/api.md`, caused by a request or by the engine."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from functions.chat.app import create_served_app
from tests.engines import schema
from tests.engines.behaviours import Chat, Completion, Hang, Sse, Status, html, vllm_error
from tests.engines.events import dumps, pieces
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Behaviour
from tests.integration.chat.conftest import Connect
from tests.integration.chat.service import URL, USER, body, client_of, settings_for
from tests.unit.chat.fakes import EventsEngine

pytestmark = pytest.mark.anyio
CANARY = "canary-7f3a"
KEY, NARROW_KEY = f"sk-{CANARY}", f"sk-narrow-{CANARY}"
JSON = {"content-type": "application/json"}
RETRY = {"retry-after": "7", "retry-after-ms": "7000"}
PROMPT = {"role": "user", "content": f"Say {CANARY}"}


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = json.dumps({digest(KEY): [], digest(NARROW_KEY): ["other"]})


def refusal(status: int, code: Any = None, **headers: str) -> Status:
    """Return an engine's refusal that quotes a prompt, a path and a key."""
    error = {"message": f"{CANARY} Traceback /app/x.py", "type": CANARY, "param": CANARY, "code": code}
    return Status(status, dumps({"error": error}).encode(), headers=headers)


@dataclass(frozen=True)
class Row:
    """A request, what the engine does, and the error that the caller must get."""

    status: int
    type: str
    code: str | None = None
    param: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    engine: Behaviour | None = None
    method: str = "POST"
    url: str = URL
    key: str | None = KEY
    content: bytes | None = None
    sent: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


INVALID, SERVER = "invalid_request_error", "server_error"
SHORT = {"STREAM_SILENCE_S": "0.05", "REPLY_TIMEOUT_S": "0.05"}
ROWS = {
    "400 missing": Row(400, INVALID, "missing_required_parameter", "messages", {"messages": ...}),
    "400 role": Row(400, INVALID, "invalid_value", "messages[0].role", {"messages": [{"role": CANARY[:6]}]}),
    "400 empty array": Row(400, INVALID, "empty_array", "messages", {"messages": []}),
    "400 value": Row(400, INVALID, "invalid_value", "verbosity", {"verbosity": "loud"}),
    "400 type": Row(400, INVALID, "invalid_type", "max_tokens", {"max_tokens": "7"}),
    "400 above": Row(400, INVALID, "decimal_above_max_value", "temperature", {"temperature": 200}),
    "400 below": Row(400, INVALID, "integer_below_min_value", "max_tokens", {"max_tokens": -1}),
    "400 stream_options": Row(
        400, INVALID, None, "stream_options", {"stream_options": {"include_usage": True}}
    ),
    "400 context": Row(
        400,
        INVALID,
        "context_length_exceeded",
        "messages",
        engine=vllm_error(400, f"maximum context length is 8 {CANARY}"),
    ),
    "400 of the engine": Row(400, INVALID, "invalid_value", engine=refusal(400)),
    "400 no JSON": Row(400, INVALID, content=f'{{"a": {CANARY}'.encode()),
    "400 no object": Row(400, INVALID, content=b"[]"),
    "400 empty": Row(400, INVALID, content=b""),
    "400 NaN": Row(400, INVALID, content=b'{"model": NaN}'),
    "401 wrong key": Row(
        401, INVALID, "invalid_api_key", key=f"sk-x{CANARY}", headers={"www-authenticate": "Bearer"}
    ),
    "401 no key": Row(401, INVALID, "invalid_api_key", key=None, headers={"www-authenticate": "Bearer"}),
    "401 models": Row(401, INVALID, "invalid_api_key", method="GET", url="/v1/models", key=None),
    "401 comes before the body": Row(401, INVALID, "invalid_api_key", key=None, content=b"{"),
    "403": Row(403, INVALID, "model_not_allowed", key=NARROW_KEY),
    "403 model": Row(
        403, INVALID, "model_not_allowed", method="GET", url="/v1/models/default", key=NARROW_KEY
    ),
    "404 model": Row(404, INVALID, "model_not_found", fields={"model": "gpt-x"}),
    "404 model of the engine": Row(404, INVALID, "model_not_found", engine=refusal(404)),
    "404 one model": Row(404, INVALID, "model_not_found", method="GET", url="/v1/models/gpt-x"),
    "404 url": Row(404, INVALID, url="/v1/x"),
    "404 doubled": Row(404, INVALID, url="/v1" + URL),
    "404 odd host": Row(404, INVALID, url="/v1/x", sent={"host": "["}),
    "405": Row(405, INVALID, method="GET", headers={"allow": "POST"}),
    "405 delete": Row(405, INVALID, method="DELETE", url="/v1/models", headers={"allow": "GET, HEAD"}),
    "413": Row(413, INVALID, fields={"user": "x" * 2000}, variables={"MAX_BODY_BYTES": "2000"}),
    "415": Row(415, INVALID, content=b"{}", sent={"content-type": "text/plain"}),
    "415 encoding": Row(415, INVALID, content=b"{}", sent={**JSON, "content-encoding": "gzip"}),
    "429": Row(
        429, "requests", "rate_limit_exceeded", engine=refusal(429, **{"retry-after": "7"}), headers=RETRY
    ),
    "429 quota": Row(
        429,
        "insufficient_quota",
        "insufficient_quota",
        engine=refusal(429, "insufficient_quota"),
        headers={"x-should-retry": "false"},
    ),
    "502 status": Row(502, SERVER, "upstream_error", engine=refusal(500)),
    "502 our key at the engine": Row(502, SERVER, "upstream_error", engine=refusal(401)),
    "502 redirect": Row(502, SERVER, "upstream_error", engine=Status(302, headers={"location": "/"})),
    "502 html": Row(502, SERVER, "upstream_error", engine=html()),
    "502 incomplete": Row(502, SERVER, "upstream_error", engine=Chat(Sse(pieces()), Completion(finish=None))),
    "503": Row(
        503,
        "service_unavailable_error",
        "server_is_overloaded",
        engine=refusal(503, **{"retry-after": "7"}),
        headers=RETRY,
    ),
    "504": Row(504, SERVER, "timeout", engine=Hang(), variables=SHORT),
    "504 of the engine": Row(504, SERVER, "timeout", engine=refusal(504)),
}


async def sent(row: Row, client: httpx.AsyncClient, *, stream: bool) -> httpx.Response:
    headers = dict(row.sent)
    if row.key:
        headers["authorization"] = f"Bearer {row.key}"
    if row.content is not None:
        return await client.request(row.method, row.url, content=row.content, headers={**JSON, **headers})
    if row.method != "POST":
        return await client.request(row.method, row.url, headers=headers)
    fields = {**body(messages=[PROMPT], stream=stream), **row.fields}
    if "stream_options" in fields:
        fields["stream"] = False
    kept = {key: value for key, value in fields.items() if value is not ...}
    return await client.post(row.url, json=kept, headers=headers)


def check(row: Row, reply: httpx.Response) -> None:
    error = schema.validate_error(reply.json())
    assert (reply.status_code, error["type"]) == (row.status, row.type)
    assert (error["code"], error["param"]) == (row.code, row.param)
    assert row.headers.items() <= dict(reply.headers).items()
    assert reply.headers["content-type"] == "application/json"
    assert error["message"]
    check_headers(reply)


def check_headers(reply: httpx.Response) -> None:
    assert re.fullmatch("req_[0-9a-f]{32}", reply.headers["x-request-id"])
    assert re.fullmatch("[0-9]+", reply.headers["openai-processing-ms"])
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "retry-after", "retry-after-ms", "x-should-retry"} <= set(exposed)


# Whether a stream was requested matters only once there is an engine.
CASES = [(name, stream) for name, row in ROWS.items() for stream in (False, True) if row.engine or not stream]


@pytest.mark.parametrize(("name", "stream"), CASES)
async def test_row(
    engine: ScriptedEngine, connect: Connect, caplog: pytest.LogCaptureFixture, name: str, stream: bool
) -> None:
    row = ROWS[name]
    caplog.set_level(logging.DEBUG)
    engine.behaviour = row.engine or Chat()
    async with connect(API_KEYS=KEYS, **row.variables) as client:
        reply = await sent(row, client, stream=stream)
    check(row, reply)
    if name != "400 role":  # its message quotes the wrong role
        assert CANARY not in reply.text
    assert CANARY not in caplog.text
    assert "Traceback" not in reply.text + caplog.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_bug_is_500_and_shows_nothing_of_the_request(
    caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    bug = RuntimeError(f"bug with {CANARY}")
    app = create_served_app(settings_for("http://engine/v1"), EventsEngine(bug))
    async with client_of(app) as client:
        reply = await client.post(URL, json=body(messages=[PROMPT], stream=stream))
    check(Row(500, SERVER, headers={"x-should-retry": "false"}), reply)
    assert CANARY not in reply.text + caplog.text
    assert "RuntimeError" in caplog.text
    assert "chat_completions.py" in caplog.text


@pytest.mark.parametrize("name", ["default", "other"])
async def test_a_key_may_be_limited_to_one_model(connect: Connect, name: str) -> None:
    keys = json.dumps({digest(KEY): [name]})
    async with connect(API_KEYS=keys) as client:
        client.headers["authorization"] = f"Bearer {KEY}"
        listed = schema.validate_models((await client.get("/v1/models")).json())
        replies = [await client.post(URL, json=body(model=model)) for model in ("default", "other")]
    assert len(listed["data"]) == 1
    assert [reply.status_code for reply in replies] == ([200, 403] if name == "default" else [403, 200])


async def test_without_a_key_no_caller_learns_whether_a_model_exists(connect: Connect) -> None:
    async with connect(API_KEYS=KEYS) as client:
        replies = [await client.get(f"/v1/models/{name}") for name in ("default", "gpt-x")]
    assert [reply.status_code for reply in replies] == [401, 401]


@pytest.mark.parametrize("field_", ["messages", "model", "user", "stop"])
async def test_half_a_surrogate_pair_is_refused(connect: Connect, field_: str) -> None:
    values: dict[str, Any] = {"messages": [{**USER, "content": "\ud800"}]}
    content = json.dumps(body(**{field_: values.get(field_, "\ud800")}))
    async with connect() as client:
        reply = await client.post(URL, content=content, headers=JSON)
    schema.validate_error(reply.json())
    assert reply.status_code in (400, 404)


@pytest.mark.parametrize(
    "reply",
    [
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"\\ud83d"},"finish_reason":"stop"}]}',
        b'{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop","logprobs":{"a":NaN}}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=["half a surrogate pair", "NaN", "not UTF-8", "deep"],
)
async def test_odd_replies_of_an_engine_are_never_a_bug_of_ours(
    engine: ScriptedEngine, connect: Connect, reply: bytes
) -> None:
    engine.behaviour = Status(200, reply)
    async with connect() as client:
        response = await client.post(URL, json=body())
    if response.status_code == 200:
        schema.validate_completion(response.json())
    else:
        assert response.status_code == 502
        schema.validate_error(response.json())
