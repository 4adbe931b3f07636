"""How many calls the commands make where there are many keys; bench.many_keys measures how long they take."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from bench import full_table
from functions.shared.dynamodb import DynamoDb
from functions.shared.items import SCHEMA
from infra.local.services import moto_queries
from tests.integration.keys.conftest import NAME, REGION, Keys
from tests.moto_reads import keep_reads_of_moto

KEYS, RECORDS, DAYS = 250, 1_000, 3
# All keys are read by 1 query and 3 gets of a hundred items each.
ALL_KEYS = {"query": 1, "batch_get_item": 3}
# A request of the first key has died. It is released at the second try, for its minute has passed.
SETTLED = {"get_item": 2, "transact_write_items": 1, "update_item": 2}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """The calls that are made of a table with many keys."""
    counted: Counter[str] = Counter()
    call = DynamoDb._call

    def counting(self: DynamoDb, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        counted[operation] += 1
        return call(self, operation, idempotent=idempotent, **parameters)

    monkeypatch.setattr(DynamoDb, "_call", counting)
    monkeypatch.setenv("KEYS_TABLE", NAME)
    keep_reads_of_moto(monkeypatch)
    moto_queries.install()
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION).create_table(TableName=NAME, **SCHEMA)
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(NAME)
        full_table.fill(table, KEYS, RECORDS, DAYS)
        yield counted


@pytest.mark.slow
def test_no_command_makes_a_call_for_each_key(keys: Keys, calls: Counter[str]) -> None:
    assert len(keys("list").out.splitlines()) == KEYS + 1
    assert calls == Counter(ALL_KEYS) + Counter(batch_get_item=3)
    calls.clear()
    data = json.loads(keys("usage", "--by", "key", "--since", "4d", "--json").out)
    assert KEYS * 0.9 < len(data["rows"]) <= KEYS
    assert data["total"]["requests"] == RECORDS + 1
    # Of each day 4 queries, and 1 of the sums of 0.4 of no key.
    assert calls == Counter(ALL_KEYS) + Counter(SETTLED) + Counter(query=5 * 4 + 1, batch_get_item=3)
    calls.clear()
    assert json.loads(keys("usage", "person 1", "--since", "4d", "--json").out)["rows"]
    assert calls == Counter(query=1 + 5, get_item=3)
    calls.clear()
    assert len(keys("usage", "--records", "--since", "4d", "--csv").out.splitlines()) == RECORDS + 2
    assert calls == Counter(ALL_KEYS) + Counter(query=KEYS + 1)
