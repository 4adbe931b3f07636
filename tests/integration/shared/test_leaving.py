"""Callers who leave at once leave nothing reserved: the real app and table, and moto's server."""

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Reply, Run
from functions.chat.usage import Meter
from functions.keys.store import KeyTable
from functions.shared import aws
from functions.shared.key_text import digest, new_key
from functions.shared.keys import Key, Keyring
from tests.integration.shared.conftest import NAME
from tests.unit.chat.fakes import EventsEngine, settings

CALLERS, LEAVE_WITHIN_S = 200, 0.012


class SlowEngine(EventsEngine):
    """Sends a word, and thinks for a while; the prompt has as many tokens as bytes."""

    def __init__(self, pause_s: float) -> None:
        super().__init__()
        self._pause_s = pause_s

    async def _reply(self, request: EngineRequest) -> Any:
        usage = {"prompt_tokens": len(request.body), "completion_tokens": request.max_completion}
        events: tuple[Event, ...] = (Reply({"choices": []}),) if not request.stream else (Run(b"", 1),) * 3
        yield Accepted()
        for event in events:
            await asyncio.sleep(self._pause_s)
            yield event
        yield End(usage)


async def until_settled(table: KeyTable, key: Key) -> None:
    until = time.monotonic() + 60
    while await asyncio.to_thread(table.running, key.id, 0):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


@pytest.mark.nightly  # tests/e2e/test_keys.py has them leave a real function
@pytest.mark.timeout(180)
@pytest.mark.parametrize("stream", [True, False], ids=["streams", "whole replies"])
def test_of_200_callers_who_leave_within_12_ms_none_leaves_anything_reserved(
    stream: bool, server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "READ_TIMEOUT_S", 30)  # moto handles one call at a time
    table, text = KeyTable(NAME, endpoint_url=server), new_key()
    key = Key(
        id=f"key_{digest(text)[:16]}", digest=digest(text), name="alice", budget_tokens=10**9, created_at=0
    )
    table.add(key)
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "hello " * 40}],
        "max_tokens": 200,
        "stream": stream,
    }

    async def play() -> Counter[str]:
        engine = SlowEngine(0.05)
        app = create_served_app(settings(), engine, Keyring(table), Meter(ledger=table))
        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {text}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://chat", headers=headers) as client:

            async def call() -> str:
                try:
                    async with asyncio.timeout(random.uniform(0, LEAVE_WITHIN_S)):
                        await client.post("/v1/chat/completions", json=body)
                except TimeoutError:
                    return "left"
                return "stayed"

            await client.post("/v1/chat/completions", json={**body, "n": "none"})  # the key is known
            ends = Counter(await asyncio.gather(*(call() for _ in range(CALLERS))))
            await until_settled(table, key)
            await asyncio.sleep(0.5)
            await until_settled(table, key)
        return ends

    ends = asyncio.run(play())
    records = list(table.usage(key.id, 0, 10**15))
    assert ends["left"] > CALLERS / 2
    assert table.spent(key.id) == sum(record.tokens for record in records)
    lines = capsys.readouterr().out.splitlines()
    logged = {json.loads(line)["usage"]["request_id"] for line in lines}
    assert logged <= {record.request_id for record in records}, (
        "those that were slow, and arrived all the same"
    )
    print(f"{dict(ends)}, {len(records)} records, {len(lines)} lines, {table.spent(key.id)} tokens")
    table.close()


@pytest.mark.parametrize(
    "content",
    ["1" * 600, "🦆" * 150, "漢" * 200, "\u0001" * 100, "a\n" * 300],
    ids=lambda content: ascii(content[0]),
)
def test_ten_at_once_spend_no_more_than_the_budget_though_each_byte_is_a_token(
    content: str, server: str
) -> None:
    table, text = KeyTable(NAME, endpoint_url=server), new_key()
    key = Key(
        id=f"key_{digest(text)[:16]}", digest=digest(text), name="alice", budget_tokens=4000, created_at=0
    )
    table.add(key)
    body = {"model": "default", "messages": [{"role": "user", "content": content}], "max_tokens": 100}

    async def play() -> Counter[int]:
        app = create_served_app(settings(), SlowEngine(0.02), Keyring(table), Meter(ledger=table))
        headers = {"authorization": f"Bearer {text}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://chat", headers=headers, timeout=30
        ) as client:
            calls = (client.post("/v1/chat/completions", json=body) for _ in range(10))
            statuses = Counter(reply.status_code for reply in await asyncio.gather(*calls))
            await until_settled(table, key)
        return statuses

    statuses = asyncio.run(play())
    assert statuses[200] >= 1
    assert statuses[200] + statuses[429] == 10
    assert table.spent(key.id) == sum(record.tokens for record in table.usage(key.id, 0, 10**15)) <= 4000
    table.close()
