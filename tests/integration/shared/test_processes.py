"""Many environments at once, each a process, against moto's server."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from functions.keys.store import KeyTable
from functions.shared import usage_items
from functions.shared.key_text import digest
from functions.shared.keys import Key, KeyTaken, KeyThrottled
from functions.shared.limits import Running
from tests.integration.shared.conftest import NAME, ROOT
from tests.unit.keys.store import a_change
from tests.unit.shared.records import RECORD

NOW = 1_795_572_000
RUNNING = Running("req", "tiny", tokens=1, most=1, prompt=1, started_at=0, expires_at=0)
PROCESSES = 4
EACH = 50
LIMIT = 60


Child = subprocess.Popen[str]


@pytest.fixture
def children(server: str) -> Iterator[list[Child]]:
    command = [sys.executable, "-m", "tests.integration.shared.reserver", server, str(LIMIT), str(EACH)]
    with ExitStack() as stack:
        started = []
        for _ in range(PROCESSES):
            child = stack.enter_context(
                Child(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            stack.callback(child.kill)
            started.append(child)
        for child in started:
            assert line_of(child) == "ready\n"
        yield started


def line_of(child: Child) -> str:
    assert child.stdout
    return child.stdout.readline()


@pytest.mark.nightly
def test_of_200_requests_at_once_exactly_60_are_accepted(children: list[Child]) -> None:
    """Some of them before the turn of a minute, some after it; and half as many when half of one is over."""
    for times, accepted in (
        ([NOW + 59.9, NOW + 60], LIMIT),
        ([NOW + 240], LIMIT),
        ([NOW + 330], LIMIT // 2),
    ):
        for number, child in enumerate(children):
            assert child.stdin
            child.stdin.write(f"{times[number % len(times)]}\n")
            child.stdin.flush()
        ends: Counter[str] = Counter()
        for child in children:
            for end in line_of(child).split():
                name, _, many = end.partition("=")
                ends[name] += int(many)
        assert ends == Counter(through=accepted, requests=PROCESSES * EACH - accepted)


@pytest.mark.slow
def test_a_request_takes_as_long_beside_2000_records_as_beside_none(server: str) -> None:
    """Moto itself copies its table three times for each settlement."""
    table = KeyTable(NAME, endpoint_url=server)

    def median_s(name: str) -> float:
        times = []
        for number in range(9):
            record = replace(RECORD, request_id=f"{name}{number}", key_id="key_beside")
            began = time.perf_counter()
            table.put_usage(record)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    alone_s = median_s("alone")
    items_of = [
        usage_items.keep(replace(RECORD, request_id=f"req_{number}", key_id="key_beside"), RUNNING, 90)[0][
            "Put"
        ]["Item"]
        for number in range(2000)
    ]
    for at in range(0, len(items_of), 25):
        batch = [{"PutRequest": {"Item": item}} for item in items_of[at : at + 25]]
        table._service.call("batch_write_item", RequestItems={NAME: batch})
    assert median_s("beside") < 3 * alone_s
    assert table.spent("key_beside") == 18 * RECORD.tokens


def test_a_transaction_is_all_or_nothing(server: str) -> None:
    table = KeyTable(NAME, endpoint_url=server)
    key = Key(id="key_whole", digest=digest("whole"), name="whole", created_at=1)
    table.add(key)
    taken = replace(key, digest=digest("other"))
    with pytest.raises(KeyTaken):
        table.add(taken)
    assert asyncio.run(table.key(taken.digest)) is None
    table.put_usage(replace(RECORD, key_id=key.id))
    table.put_usage(replace(RECORD, key_id=key.id, completion_tokens=900))
    assert table.spent(key.id) == RECORD.tokens
    ((_, _, used),) = table.sums(key.id, RECORD.started_at, RECORD.started_at)
    assert used.requests == 1


def test_transactions_at_once_count_each_record_once(server: str) -> None:
    table = KeyTable(NAME, endpoint_url=server)
    records = [replace(RECORD, key_id="key_at_once", request_id=f"req_{number % 6}") for number in range(24)]

    async def settle() -> None:
        ends = await asyncio.gather(*map(table.settle, records), return_exceptions=True)
        assert {type(end) for end in ends} <= {type(None), KeyThrottled}, "another writes the same just now"

    for _ in range(2):
        asyncio.run(settle())
    ((_, _, used),) = table.sums("key_at_once", RECORD.started_at, RECORD.started_at)
    assert (used.requests, table.running("key_at_once", 0)) == (6, [])
    assert table.spent("key_at_once") == 6 * RECORD.tokens


def test_the_server_keeps_keys_as_dynamodb_does(server: str) -> None:
    table = KeyTable(NAME, endpoint_url=server)
    key = Key(id="key_server", digest=digest("server"), name="server", created_at=1)
    table.add(key)
    assert table.find(key.id) == key
    rotated = table.rotate(key.id, digest("rotated"), "sk-…abcd", a_change())
    assert rotated
    assert rotated in table.all_keys()
