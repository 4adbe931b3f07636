"""The cost of keys and limits in the first byte and the cold start, beside the function without them."""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any

import boto3

from bench import bundle
from bench.client import completion
from bench.measures import Row, alternating, ms
from bench.runtime_api import function, http_event, models
from functions.keys.store import KeyTable
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.key_text import digest, hint, new_key
from functions.shared.keys import Key
from functions.shared.limit_items import limits_place
from infra.local.services.dynamodb import NAME, TABLE
from tests.engines.scripted import EngineProcess

_REGION = "us-east-1"
_CREDENTIALS = {
    "AWS_DEFAULT_REGION": _REGION,
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def first_byte(engine: EngineProcess, rounds: int = 300) -> list[Row]:
    """The first byte of a stream: without keys, with a cached key, with a key that has limits."""
    with _dynamodb() as (endpoint, client):
        table = KeyTable(NAME, endpoint_url=endpoint, aws=Aws(Boto(region=_REGION)))
        free, limited = _add(table, "free"), _add(table, "limited", 10**9)
        with_table = _key_settings(endpoint)
        served = models(engine.base_url)
        with function(MODELS=served) as without, function(MODELS=served, **with_table) as with_keys:
            sides = (
                lambda: without.invoke(_event("no key")).first_byte_s,
                lambda: with_keys.invoke(_event(free)).first_byte_s,
                lambda: with_keys.invoke(_event(limited)).first_byte_s,
                lambda: _moto_s(client),
            )
            alternating(20, *sides)
            open_s, cached_s, limited_s, moto_s = (
                statistics.median(values) for values in alternating(rounds, *sides)
            )
    added, more = cached_s - open_s, limited_s - open_s - moto_s
    beside = f"{ms(open_s)} without keys"
    return [
        Row(
            "keys: first byte, a cached key",
            ms(cached_s),
            beside,
            more_ms(added),
            "<= +0.3 ms",
            added <= 0.0003,
        ),
        Row(
            "keys: first byte, a key with limits",
            ms(limited_s),
            f"{beside}, and moto's own {ms(moto_s)}",
            more_ms(more),
            "<= +1.5 ms",
            more <= 0.0015,
        ),
    ]


def cold_start(engine: EngineProcess, rounds: int = 15) -> list[Row]:
    """Process start to the first event of the first completion, with a key in the table and without keys."""
    with _dynamodb() as (endpoint, _):
        key = _add(KeyTable(NAME, endpoint_url=endpoint, aws=Aws(Boto(region=_REGION))), "cold")
        served, with_table = models(engine.base_url), _key_settings(endpoint)

        def ours() -> float:
            with function(MODELS=served, **with_table) as started:
                return started.first_event_s(_event(key))

        def without() -> float:
            with function(MODELS=served) as started:
                return started.first_event_s(_event("no key"))

        keys_s, none_s = (statistics.median(values[1:]) for values in alternating(rounds + 1, ours, without))
    added = keys_s - none_s
    beside = f"{ms(none_s)} without keys"
    return [
        Row(
            "keys: cold start and first event", ms(keys_s), beside, more_ms(added), "<= +40 ms", added <= 0.04
        )
    ]


def more_ms(seconds: float) -> str:
    """Write a difference."""
    return f"{seconds * 1000:+.1f} ms"


def _key_settings(endpoint: str) -> dict[str, Any]:
    return {**_CREDENTIALS, "KEYS_TABLE": NAME, "DYNAMODB_ENDPOINT": endpoint}


def _event(key: str) -> dict[str, Any]:
    event = http_event("/v1/chat/completions", json.dumps(completion("scripted", 4)))
    event["headers"]["authorization"] = f"Bearer {key}"
    return event


def _add(table: KeyTable, name: str, tokens_per_minute: int | None = None) -> str:
    text = new_key()
    table.add(
        Key(
            id=f"key_{name}",
            digest=digest(text),
            name=name,
            tokens_per_minute=tokens_per_minute,
            created_at=int(time.time()),
            hint=hint(text),
        )
    )
    return text


def _moto_s(client: Any) -> float:
    """Time moto's own response to the query of a reservation."""
    began = time.perf_counter()
    client.update_item(
        TableName=NAME,
        Key=limits_place("key_bench"),
        UpdateExpression="ADD #r :one, #t :one, #s :one",
        ExpressionAttributeNames={"#r": "requests", "#t": "tokens", "#s": "spent"},
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    return time.perf_counter() - began


@contextmanager
def _dynamodb() -> Iterator[tuple[str, Any]]:
    """Serve moto's DynamoDB with the table in it; yield its address and a client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = (
            sys.executable,
            "-m",
            "infra.local.services.dynamodb_server",
            str(listener.fileno()),
            json.dumps({"TableName": NAME, **TABLE}),
        )
        os.environ.update(_CREDENTIALS)
        with Popen(command, cwd=bundle.ROOT, stdout=PIPE, pass_fds=(listener.fileno(),), text=True) as server:
            try:
                assert server.stdout
                assert server.stdout.readline().strip() == "ready"
                yield endpoint, boto3.client("dynamodb", endpoint_url=endpoint)
            finally:
                server.kill()
