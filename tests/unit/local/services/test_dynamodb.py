"""The local keys' database has the table that the functions expect, and is theirs alone."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from functions.shared.items import SCHEMA
from infra.local.services.dynamodb import TABLE
from infra.local.services.dynamodb_server import Guarded

SIGNED = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host"


def database(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ARG001
    start_response("200 OK", [])
    return [b"{}"]


def status_and_type(path: str = "/", method: str = "POST", **headers: str) -> tuple[int, str]:
    sent = {"Host": "127.0.0.1:4000", "Authorization": SIGNED.format("KEYID"), **headers}
    reply = Client(Guarded(database, "KEYID")).open(path, method=method, headers=sent)
    assert not [name for name, _ in reply.headers if name.lower().startswith("access-control-")]
    return reply.status_code, json.loads(reply.data).get("__type", "")


def test_the_table_is_the_one_that_functions_expect() -> None:
    assert TABLE == SCHEMA


@pytest.mark.parametrize("host", ["127.0.0.1:4000", "localhost:4000", "[::1]:4000", "LOCALHOST"])
def test_an_sdk_with_this_runs_key_id_is_served(host: str) -> None:
    assert status_and_type(Host=host) == (200, "")


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        ({"Host": "evil.example:4000"}, (421, "MisdirectedRequest")),
        ({"Host": "127.0.0.1.evil.example"}, (421, "MisdirectedRequest")),
        ({"Host": "localhost@evil.example"}, (421, "MisdirectedRequest")),
        ({"Origin": "https://evil.example"}, (403, "AccessDeniedException")),
        ({"Origin": "http://127.0.0.1:4000"}, (403, "AccessDeniedException")),
        ({"Origin": "null"}, (403, "AccessDeniedException")),
        ({"Sec-Fetch-Site": "cross-site"}, (403, "AccessDeniedException")),
        ({"method": "OPTIONS", "Origin": "https://evil.example"}, (403, "AccessDeniedException")),
        ({"method": "GET"}, (403, "AccessDeniedException")),
        ({"path": "/moto-api/reset"}, (403, "AccessDeniedException")),
        ({"path": "/moto-api/data.json", "method": "GET"}, (403, "AccessDeniedException")),
        ({"path": "/latest/meta-data/"}, (403, "AccessDeniedException")),
        ({"Authorization": ""}, (400, "UnrecognizedClientException")),
        ({"Authorization": "Bearer KEYID"}, (400, "UnrecognizedClientException")),
        ({"Authorization": SIGNED.format("local")}, (400, "UnrecognizedClientException")),
        ({"Authorization": SIGNED.format("KEYID2")}, (400, "UnrecognizedClientException")),
        (
            {"Authorization": SIGNED.format("KEYID").replace("dynamodb", "s3")},
            (400, "UnrecognizedClientException"),
        ),
        (
            {"Authorization": SIGNED.format("KEYID").replace("dynamodb", "iam")},
            (400, "UnrecognizedClientException"),
        ),
        ({"Authorization": SIGNED.format("KÉYID")}, (400, "UnrecognizedClientException")),
    ],
)
def test_all_others_are_refused(request_: dict[str, str], refusal: tuple[int, str]) -> None:
    assert status_and_type(**request_) == refusal
