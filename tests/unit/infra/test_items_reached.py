"""What the functions do with the table of keys, each call held against what their roles may do."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from functions.keys.store import KeyTable
from functions.shared.items import SCHEMA
from functions.shared.keys import Key
from functions.shared.limits import LimitReached, Running, died
from functions.shared.usage import UsageRecord
from infra import costs
from tests.aws import boto_of

from .policies import Policies, Request
from .templates import Deployment
from .test_functions import CHAT, TODOS, policies_of, table_of

NAME, NOW = "keys", 1_795_572_000.0
KEY = Key(
    id="key_1",
    digest="0f" * 32,
    name="me",
    created_at=int(NOW),
    requests_per_minute=4,
    tokens_per_minute=1000,
    budget_tokens=5000,
    concurrent=2,
)
Made = list[tuple[str, list[str]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """Return the calls, with the partition keys that the whole request names."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield []


def recorded(made: Made) -> KeyTable:
    """Return a table with one key, which records from then on."""
    table = KeyTable(NAME)
    boto_of(table).create_table(TableName=NAME, **SCHEMA)
    table.add(KEY)

    def record(params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "Query":
            made.append(("dynamodb:Query", [params["ExpressionAttributeValues"][":pk"]["S"]]))
            return
        writes = params.get("TransactItems") or [{model.name.removesuffix("Item"): params}]
        kinds = [(kind, write) for each in writes for kind, write in each.items()]
        keys = [(write.get("Key") or write["Item"])["pk"]["S"] for _, write in kinds]
        made.extend((f"dynamodb:{kind}Item", keys) for kind, _ in kinds)

    boto_of(table).meta.events.register("provide-client-params.dynamodb", record)
    return table


def running(number: int) -> Running:
    return Running(
        request_id=f"req_{number}",
        model="tiny",
        tokens=100,
        most=100,
        prompt=10,
        started_at=int(NOW * 1000),
        expires_at=int(NOW) + 900,
    )


async def chat(table: KeyTable) -> None:
    """Let requests end well, be refused, die, and be settled late; read what the key has used."""
    key = await table.key(KEY.digest)
    assert key == KEY
    await table.peek(KEY, NOW)
    first, second = [await table.reserve(KEY, running(number), NOW) for number in (1, 2)]
    with pytest.raises(LimitReached):
        await table.reserve(KEY, running(3), NOW)
    assert first.running
    assert second.running
    record = replace(died(KEY.id, first.running), outcome="ok", completion_tokens=7)
    await table.settle(record, first.running)
    refused = UsageRecord(
        request_id="req_4", key_id=KEY.id, duration_ms=1.0, outcome="refused", started_at=int(NOW * 1000)
    )
    await table.settle(refused)
    await table.reserve(KEY, running(5), NOW + 2000)  # the second one has died meanwhile
    await table.settle(replace(died(KEY.id, second.running), outcome="ok"))
    await table.touch(KEY.id, NOW)
    now_ms = int(NOW * 1000)
    assert await asyncio.to_thread(table.sums, KEY.id, now_ms, now_ms, books=KEY.books)


async def todos(table: KeyTable) -> None:
    """Count requests, up to the limit, also where completions of the same key have died."""
    await KeyTable(NAME).reserve(KEY, replace(running(1), expires_at=int(NOW) - 1), NOW - 120)
    assert await table.key(KEY.digest) == KEY
    await table.peek(KEY, NOW)
    only_requests = replace(KEY, requests_per_minute=2)
    for _ in range(2):
        await table.reserve(only_requests, None, NOW)
    with pytest.raises(LimitReached):
        await table.reserve(only_requests, None, NOW)
    await table.reserve(only_requests, None, NOW + 120)


@pytest.mark.parametrize(("function", "work"), [(CHAT, chat), (TODOS, todos)])
def test_every_call_is_allowed(
    dev: Deployment, made: Made, function: str, work: Callable[[KeyTable], Any]
) -> None:
    asyncio.run(work(recorded(made)))
    policies, resource = policies_of(dev, function), table_of(dev, function)
    assert made
    assert [each for each in made if not allowed(policies, resource, *each)] == []


def allowed(policies: Policies, resource: str, action: str, keys: list[str]) -> bool:
    return policies.allow(Request(action, resource, {"dynamodb:LeadingKeys": keys}))


def test_a_completion_costs_the_writes_of_the_bill(dev: Deployment, made: Made) -> None:
    async def complete(table: KeyTable) -> None:
        reservation = await table.reserve(KEY, running(1), NOW)
        assert reservation.running
        await table.settle(replace(died(KEY.id, reservation.running), outcome="ok"), reservation.running)

    asyncio.run(complete(recorded(made)))
    # Each write of a transaction counts twice.
    writes = sum(1 + (len(keys) > 1) for action, keys in made if "Get" not in action)
    assert costs.million_completions(dev.stage)["DynamoDB, million writes"][0] == writes
