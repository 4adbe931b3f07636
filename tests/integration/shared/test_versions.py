"""Functions of 0.4 and of this version use one table while a new version is deployed.

What 0.4 writes, and how it reads, is here as it was.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any

from functions.keys.store import KeyTable
from functions.shared import limit_items
from functions.shared.keys import Key
from functions.shared.limits import Running, died
from tests.integration.shared.conftest import NAME

NOW = 1_795_572_000
WINDOW = 29_926_200
KEY = Key(
    id="key_1",
    digest="d",
    name="alice",
    requests_per_minute=4,
    tokens_per_minute=100,
    budget_tokens=1000,
    budget_period="month",
    created_at=0,
)
ENDS_AT = NOW + 900
PLACE = {"pk": {"S": "id#key_1"}, "sk": {"S": "limits"}}
NAMES = {"#n": "running", "#r": "requests", "#s": "spent", "#t": "tokens", "#w": "window"}


def text_0_4(window: int) -> str:
    return f'["tiny",10,20,10,{NOW}000,{ENDS_AT},{window},0]'


def reserve_0_4(table: KeyTable, request_id: str, window: int) -> None:
    """Reserve 10 tokens, 20 of the budget, as 0.4 did first in a minute."""
    table._service.call(
        "update_item",
        TableName=NAME,
        Key=PLACE,
        UpdateExpression="SET #w = :window, #r = :one, #t = :tokens, #run = :run ADD #s :most, #n :one",
        ConditionExpression="(attribute_not_exists(#w) OR #w < :window) AND (attribute_not_exists(pk) OR"
        " attribute_not_exists(#run)) AND (attribute_not_exists(pk) OR (attribute_not_exists(#n) OR"
        " #n < :concurrent)) AND (attribute_not_exists(pk) OR #s <= :unspent)",
        ExpressionAttributeNames={**NAMES, "#run": f"run#{request_id}"},
        ExpressionAttributeValues={
            ":concurrent": {"N": "1000"},
            ":most": {"N": "20"},
            ":one": {"N": "1"},
            ":run": {"S": text_0_4(window)},
            ":tokens": {"N": "10"},
            ":unspent": {"N": "980"},
            ":window": {"N": str(window)},
        },
    )


def release_0_4(table: KeyTable, request_id: str, window: int, text: str) -> None:
    """Release a request that used 5 tokens, as 0.4 did in the minute in which it had reserved."""
    table._service.call(
        "update_item",
        TableName=NAME,
        Key=PLACE,
        UpdateExpression="REMOVE #run ADD #n :less, #s :spent, #t :tokens",
        ConditionExpression="#run = :run AND #w = :window",
        ExpressionAttributeNames={
            **{name: NAMES[name] for name in ("#n", "#s", "#t", "#w")},
            "#run": f"run#{request_id}",
        },
        ExpressionAttributeValues={
            ":less": {"N": "-1"},
            ":run": {"S": text},
            ":spent": {"N": "-15"},
            ":tokens": {"N": "-5"},
            ":window": {"N": str(window)},
        },
    )


def running_0_4(table: KeyTable) -> dict[str, list[Any]]:
    """Return the requests as 0.4 reads them; more or fewer than eight members were an error."""
    item = table._service.call("get_item", TableName=NAME, Key=PLACE)["Item"]
    return {name[4:]: json.loads(item[name]["S"]) for name in item if name.startswith("run#")}


def request(request_id: str) -> Running:
    return Running(
        request_id, "tiny", tokens=10, most=20, prompt=10, started_at=NOW * 1000, expires_at=ENDS_AT, cost=7
    )


def test_what_0_4_has_counted_goes_on(table: KeyTable) -> None:
    async def play() -> None:
        reserve_0_4(table, "old", WINDOW)
        counts = table.counts(KEY.id)
        assert counts
        assert (counts.requests, counts.tokens, counts.spent, counts.periods) == (1, 10, 20, {})
        new = await table.reserve(KEY, request("new"), NOW + 30)
        assert (new.allowance.remaining_requests, new.allowance.remaining_tokens) == (2, 80)
        assert new.allowance.remaining_budget == 980, "0.4 knew no periods"
        later = await table.reserve(KEY, request("later"), NOW + 90)
        assert (later.allowance.remaining_requests, later.allowance.remaining_tokens) == (2, 80)
        for one in (counts.running["old"], new.running, later.running):
            assert one
            await table.settle(replace(died(KEY.id, one), outcome="ok"), one)
        assert table.running(KEY.id, NOW) == []
        assert table.spent(KEY.id) == 60 == sum(each.tokens for each in table.usage(KEY.id, 0, 10**14))

    asyncio.run(play())


def test_what_this_version_writes_0_4_reads_and_releases(table: KeyTable) -> None:
    reserved = asyncio.run(table.reserve(KEY, request("new"), NOW)).running
    assert reserved
    assert (reserved.period, reserved.cost) == ("month:20261101", 7)
    assert running_0_4(table) == {"new": json.loads(text_0_4(WINDOW))}
    counts = table.counts(KEY.id)
    assert counts
    assert counts.running == {"new": reserved}
    release_0_4(table, "new", WINDOW, text_0_4(WINDOW))
    assert table.spent(KEY.id) == 5
    assert table.running(KEY.id, NOW) == []


def test_a_minute_that_0_4_begins_is_counted_in(table: KeyTable) -> None:
    """It keeps nothing of the minute before, so until it is gone limits hold for each minute of UTC alone."""
    asyncio.run(table.reserve(KEY, request("new"), NOW))
    reserve_0_4(table, "old", WINDOW + 1)
    allowance = asyncio.run(table.reserve(KEY, request("newer"), NOW + 61)).allowance
    assert (allowance.remaining_requests, allowance.remaining_tokens) == (2, 80)


def test_0_4_lets_requests_pass_whose_key_was_only_marked_as_used(table: KeyTable) -> None:
    asyncio.run(table.touch(KEY.id, NOW))
    counts = table.counts(KEY.id)
    assert counts
    assert (counts.used_at, counts.spent) == (NOW, 0)
    reserve_0_4(table, "old", WINDOW)
    assert table.spent(KEY.id) == 20


def test_members_that_a_version_to_come_lists_are_left_out() -> None:
    listed = {"run#req_1": {"S": text_0_4(WINDOW)}, "more#req_1": {"S": '["",3,"later"]'}}
    counts = limit_items.counts_of({**PLACE, **listed})
    assert counts
    assert counts.running["req_1"].cost == 3
