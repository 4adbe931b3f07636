"""The keys' database with very many keys and usage records in it, put there in the server's own process.

Run as `infra.local.services.dynamodb_server` is, and then the numbers of keys, of records, and of days before
now on which requests were made. All keys and days are alike, and of two models one has 9 of 10 requests: that
is the hardest case for sums, as few records are added up in each.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
from moto.dynamodb.models.dynamo_type import Item as Stored
from moto.dynamodb.models.table import Table

from functions.keys import key_writes
from functions.shared import limit_items, usage_items
from functions.shared.items import Item, attribute_of
from functions.shared.key_text import digest
from functions.shared.keys import Key
from functions.shared.limits import Running
from functions.shared.usage import UsageRecord, UsageSum
from infra.local.services import dynamodb_server
from infra.local.settings import REGION

_DAY_MS = 86_400_000
_KEEP_DAYS = 90
_LISTED = Running("", "", 0, 0, 0, 0, 0)
# In one of so many keys a request has died.
_DEAD = 500


def main(descriptor: str, schema: str, keys: str, records: str, days: str) -> None:
    """Serve until killed."""

    def put() -> None:
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(json.loads(schema)["TableName"])
        fill(table, int(keys), int(records), int(days))
        gc.freeze()

    dynamodb_server.main(descriptor, schema, put)


def fill(table: Table, keys: int, records: int, days: int) -> None:
    """Put keys, their records, sums and counts into a table of moto's in this process."""
    kept: dict[tuple[str, str], DynamoType] = {}  # of records: a million times the same
    gc.disable()
    for at, item in enumerate(_items(keys, records, days), 1):
        attributes, shared = LimitedSizeDict(), kept if item["pk"]["S"].startswith("usage#") else {}
        for attribute, value in item.items():
            dict.__setitem__(attributes, attribute, _attribute(value, shared))
        stored: Any = Stored.__new__(Stored)
        stored.hash_key, stored.range_key, stored.attrs = attributes["pk"], attributes["sk"], attributes
        table.items[stored.hash_key][stored.range_key] = stored
        if at % 100_000 == 0:
            print(f"{at:,} items", file=sys.stderr, flush=True)
    gc.enable()


def _items(keys: int, records: int, days: int) -> Iterator[Item]:
    chosen, now_ms = random.Random(1), int(time.time() * 1000)
    all_keys = [_key(number, now_ms // 1000 - days * 86_400) for number in range(keys)]
    for key in all_keys:
        yield from (write["Put"]["Item"] for write in key_writes.additions(key, None))
    sums: dict[tuple[str, str], UsageSum] = defaultdict(UsageSum)
    spent: dict[str, int] = defaultdict(int)
    for number in range(records):
        ago_ms = chosen.randrange(days * _DAY_MS)
        record = _record(number, all_keys[chosen.randrange(keys)].id, now_ms - ago_ms)
        put, count = usage_items.keep(record, _LISTED, _KEEP_DAYS)
        yield put["Put"]["Item"]
        place = count["Update"]["Key"]
        sums[place["pk"]["S"], place["sk"]["S"]].add(UsageSum.of(record))
        spent[record.key_id] += record.tokens
    for (pk, sk), used in sorted(sums.items(), key=lambda each: each[0]):
        amounts = {name: amount for name in used.NAMES if (amount := getattr(used, name))}
        yield {name: attribute_of(value) for name, value in {"pk": pk, "sk": sk, **amounts}.items()}
    for number, key in enumerate(all_keys):
        yield _limits(key.id, spent[key.id], now_ms, dead=number % _DEAD == 0)


def _key(number: int, created_at: int) -> Key:
    return Key(
        id=f"key_{number:016x}",
        digest=digest(str(number)),
        name=f"person {number}",
        requests_per_minute=60,
        budget_tokens=10**9,
        created_at=created_at,
        hint="sk-…Ab3d",
        books=usage_items.BOOKS,
    )


def _record(number: int, key_id: str, started_at: int) -> UsageRecord:
    return UsageRecord(
        request_id=f"req_{number:032x}",
        key_id=key_id,
        model="small" if number % 10 == 0 else "default",
        prompt_tokens=100 + number % 400,
        completion_tokens=number % 300,
        cached_tokens=number % 64,
        duration_ms=900.5,
        first_byte_ms=80.5,
        outcome="cut" if number % 50 == 0 else "ok",
        cost=(100 + number % 400) * 150,
        started_at=started_at,
    )


def _limits(key_id: str, spent: int, now_ms: int, *, dead: bool) -> Item:
    counts = {
        "window": now_ms // 60_000 - 5,
        "requests": 1,
        "tokens": 9,
        "spent": spent,
        "running": int(dead),
    }
    item = {name: attribute_of(value) for name, value in counts.items()}
    if dead:
        running = Running("req_dead", "default", 9, 9, 5, now_ms - _DAY_MS, now_ms // 1000 - 80_000)
        listed = limit_items.list_again(key_id, running, None)
        item["run#req_dead"] = listed["ExpressionAttributeValues"][":run"]
    return {**limit_items.limits_place(key_id), **item}


def _attribute(value: dict[str, str], kept: dict[tuple[str, str], DynamoType]) -> DynamoType:
    ((kind, text),) = value.items()
    if not isinstance(text, str) or len(text) > 24 or kind not in "SN":
        return DynamoType(value)
    return kept.setdefault((kind, text), DynamoType(value)) if len(kept) < 500_000 else DynamoType(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
