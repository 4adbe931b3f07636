"""While the table cannot be reached, an open key is accepted and a closed one is not, by either function."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.usage import Meter
from functions.shared import aws as aws_module
from functions.shared.key_items import key_item
from functions.shared.key_text import digest
from functions.shared.keys import Key, Keyring
from functions.shared.table import Table
from functions.todos.admission import Admission, Caller
from functions.todos.errors import ServiceUnavailable
from tests.integration.shared.conftest import NAME
from tests.integration.shared.test_faults import HANGING_UP, Scripted, scripted
from tests.unit.chat.fakes import USER, FakeEngine, settings

pytestmark = pytest.mark.anyio

HEADERS = {"authorization": "Bearer alice"}
REPLY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3},
}
WHY = "The table that counts what this API key uses cannot be reached right now, and the key is not accepted"


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "_PAUSE_S", 0.001)


def found(on_outage: Literal["open", "closed"], **limits: Any) -> Scripted:
    """Return the table's response to the lookup of a key."""
    key = Key(id="key_1", digest=digest("alice"), name="alice", created_at=0)
    return 200, {"Item": key_item(replace(key, on_outage=on_outage, **limits))}


@pytest.mark.parametrize("limits", [{"budget_tokens": 10_000}, {}], ids=str)
@pytest.mark.parametrize(("on_outage", "status"), [("open", 200), ("closed", 503)])
async def test_the_chat_function(
    on_outage: Literal["open", "closed"],
    status: int,
    limits: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [1_796_000_000.0]
    with (
        scripted(found(on_outage, **limits), HANGING_UP) as server,
        closing(Table(NAME, endpoint_url=server.url)) as table,
    ):
        keyring = Keyring(table, now=lambda: now[0], steady=lambda: now[0])
        meter = Meter(ledger=table, now=lambda: now[0], steady=lambda: now[0])
        app = create_served_app(settings(), FakeEngine(json.dumps(REPLY).encode()), keyring, meter)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://chat", headers=HEADERS) as client:
            for waited_s, retry_after in ((0, "10"), (4, "6"), (30, "5")):
                now[0] += waited_s
                body = {"model": "tiny", "messages": [USER]}
                reply = await client.post("/v1/chat/completions", json=body)
                assert reply.status_code == status, reply.text
                if status == 503:
                    error = reply.json()["error"]
                    assert error["code"] == "keys_unavailable"
                    assert error["message"].startswith(WHY)
                    assert reply.headers["retry-after"] == retry_after
    lines = capsys.readouterr().out.splitlines()
    outcomes = [json.loads(line)["usage"]["outcome"] for line in lines]
    assert outcomes == (["error"] if status == 503 else ["ok"] * 3), (
        "a refused one leaves no record of its own"
    )


@pytest.mark.parametrize("limits", [{"requests_per_minute": 10}, {}], ids=str)
@pytest.mark.parametrize("on_outage", ["open", "closed"])
async def test_the_todo_function(on_outage: Literal["open", "closed"], limits: dict[str, Any]) -> None:
    with (
        scripted(found(on_outage, **limits), HANGING_UP) as server,
        closing(Table(NAME, endpoint_url=server.url)) as table,
    ):
        admission = Admission(Keyring(table), table)
        if on_outage == "open":
            assert await admission.admit("Bearer alice") == Caller("key_1", {})
            return
        with pytest.raises(ServiceUnavailable, match=WHY) as refused:
            await admission.admit("Bearer alice")
        assert refused.value.headers["retry-after"] == "10"
