"""GraphQL over HTTP: which requests are read, and in which shape they are answered."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.requests import Request as HttpRequest

from functions.todos.errors import (
    ApiError,
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NotAcceptable,
    PersistedQueryNotSupported,
    Unauthenticated,
    UnsupportedMediaType,
)
from functions.todos.execution import Outcome, Request
from functions.todos.graphql_http import (
    GRAPHQL,
    JSON,
    media_type_for,
    outcome_of,
    read_request,
    response_of,
    wants_page,
)

pytestmark = pytest.mark.anyio

MAX = 1000


def request(
    method: str = "POST",
    chunks: Iterable[bytes] = (),
    query: str = "",
    **headers: str,
) -> HttpRequest:
    """Return an HTTP request; `_` in the name of a header is a dash."""
    waiting = list(chunks) or [b""]

    async def receive() -> dict[str, Any]:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    scope = {
        "type": "http",
        "method": method,
        "path": "/graphql",
        "query_string": query.encode("latin-1"),
        "headers": [
            (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
        ],
    }
    return HttpRequest(scope, receive)


def post(body: Any, content_type: str = JSON, **headers: str) -> HttpRequest:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", [data], content_type=content_type, **headers)


def get(query: str) -> HttpRequest:
    return request("GET", query=query)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        (" ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        ("APPLICATION/GraphQL-Response+JSON", GRAPHQL),
        (f"{GRAPHQL}, {JSON}", GRAPHQL),
        (f"{JSON}, {GRAPHQL}", JSON),
        (f"{JSON};q=0.5, {GRAPHQL}", GRAPHQL),
        (f"{JSON};q=0.9, {GRAPHQL};q=0.8", JSON),
        (f"{JSON};q=0.8, {GRAPHQL};q=0.8", JSON),
        (f"{GRAPHQL};charset=utf-8;q=0.9, {JSON} ; Q = 0.8", GRAPHQL),
        (f"{GRAPHQL}; q=0, {JSON}", JSON),
        (f"{GRAPHQL};q=0, */*", JSON),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("multipart/mixed;deferSpec=20220824, application/json", JSON),
        (f"text/event-stream, {GRAPHQL}", GRAPHQL),
        (f"text/html;q=0, {JSON};q=0.001", JSON),
        # Malformed: a quality that is none counts as the highest.
        (f"{GRAPHQL};q=high", GRAPHQL),
        (f"{GRAPHQL};q=.", GRAPHQL),
        (f"{GRAPHQL};q=1.2.3", GRAPHQL),
        (f"{GRAPHQL};q", GRAPHQL),
        (f",,;;, ,{GRAPHQL},", GRAPHQL),
        (f"{JSON};q={'9' * 500}", JSON),
        ("é\x00, */*", JSON),
    ],
)
def test_the_media_type_is_the_one_that_is_liked_best(accept: str, media_type: str) -> None:
    assert media_type_for(accept) == media_type


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/*",
        "image/png, text/plain",
        f"{JSON};q=0",
        f"{JSON};q=0.0, {GRAPHQL};q=0",
        "*/*;q=0",
        "application/graphql+json",
        "text/event-stream, multipart/mixed",
        "application/jsonx",
        "json",
        ";",
        ",",
    ],
)
def test_there_is_no_other_media_type(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        media_type_for(accept)
    assert refused.value.message == (
        f"`Accept`: expected {GRAPHQL} or {JSON} among what you accept. There are no streams of results."
    )


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("method", "accept", "query", "page"),
    [
        ("GET", BROWSER, "", True),
        ("GET", BROWSER, "a=b", True),
        ("GET", BROWSER, "query={todos{id}}", False),
        ("GET", BROWSER, "query=", False),
        ("POST", BROWSER, "", False),
        ("HEAD", BROWSER, "", True),
        ("GET", "*/*", "", False),
        ("GET", "", "", False),
        ("GET", f"{JSON}, text/html", "", False),
        ("GET", "text/html;q=0.5, application/json", "", False),
        ("GET", "TEXT/HTML", "", True),
        ("GET", "text/html;q=0", "", False),
    ],
)
def test_a_browser_without_a_query_wants_the_page(method: str, accept: str, query: str, page: bool) -> None:
    assert wants_page(request(method, query=query, accept=accept)) is page


TEXT = "{ todos { id } }"
QUERY = {"query": TEXT}


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (QUERY, Request(query="{ todos { id } }")),
        ({**QUERY, "operationName": None, "variables": None, "extensions": None}, Request(query=TEXT)),
        ({**QUERY, "operationName": "a"}, Request(query=TEXT, operation_name="a")),
        ({**QUERY, "operationName": ""}, Request(query=TEXT, operation_name="")),
        ({**QUERY, "variables": {}}, Request(query=TEXT, variables={})),
        (
            {**QUERY, "variables": {"a": [1, 2.5, "é", None]}},
            Request(query=TEXT, variables={"a": [1, 2.5, "é", None]}),
        ),
        ({**QUERY, "extensions": {"clientLibrary": {"name": "x"}}, "id": 3}, Request(query=TEXT)),
        ({**QUERY, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}, Request(query=TEXT)),
        ({**QUERY, "extensions": {"persistedQuery": None}}, Request(query=TEXT)),
        (
            b'{"query": "\\ud800", "operationName": "\\udfff", "variables": {"\\ud800": "\\ud800"}}',
            Request(query="\ud800", operation_name="\udfff", variables={"\ud800": "\ud800"}),
        ),
        (b'{"query": "a", "query": "b"}', Request(query="b")),
        (b' \r\n\t{"query":"\xf0\x9f\x98\x80\\u0000"}\n', Request(query="😀\0")),
        (b'{"query":"x", "variables": {"a": 1e400}}', Request(query="x", variables={"a": float("inf")})),
    ],
    ids=ascii,
)
async def test_a_body_is_read(body: Any, read: Request) -> None:
    assert await read_request(post(body), MAX) == read


NO_VARIABLES = "Expected `variables` to be JSON, but it cannot be read as such."
NO_JSON = "Expected the body to be JSON, but it cannot be read as such."
AN_OBJECT = 'Expected a JSON object such as {"query": "{ todos { id title } }"}.'
BODIES: list[tuple[Any, str]] = [
    (b"", NO_JSON),
    (b"{", NO_JSON),
    (b"query { todos }", NO_JSON),
    (b'{"query": "x"} {}', NO_JSON),
    (b"{'query': 'x'}", NO_JSON),
    (b'{"query": "a\nb"}', NO_JSON),
    (b'{"query": "x", "variables": {"a": NaN}}', NO_JSON),
    (b'{"query": "x", "variables": {"a": Infinity}}', NO_JSON),
    (b'{"query": "x", "variables": {"a": -Infinity}}', NO_JSON),
    (b'\xef\xbb\xbf{"query": "x"}', NO_JSON),
    (b'{"query": "x", "variables": {"a": ' + b"1" * 5000 + b"}}", NO_JSON),
    (b"[" * 100_000, NO_JSON),
    (b'{"query": "x", "variables": ' + b'{"a":' * 50_000, NO_JSON),
    (b'{"query": "\xff"}', "Expected a body in UTF-8."),
    (b'{"query": "\xed\xa0\x80"}', "Expected a body in UTF-8."),
    ('{"query": "x"}'.encode("utf-16"), "Expected a body in UTF-8."),
    (None, AN_OBJECT),
    (3, AN_OBJECT),
    ("x", AN_OBJECT),
    (True, AN_OBJECT),
    ([QUERY], "Expected one request, a JSON object, but got an array: there is no batching here."),
    ([], "Expected one request, a JSON object, but got an array: there is no batching here."),
    ({"query": 3}, "`query`: expected a string."),
    ({"query": ["x"]}, "`query`: expected a string."),
    ({"query": {"a": 1}}, "`query`: expected a string."),
    ({**QUERY, "operationName": 3}, "`operationName`: expected a string."),
    ({**QUERY, "variables": "{}"}, "`variables`: expected a JSON object."),
    ({**QUERY, "variables": []}, "`variables`: expected a JSON object."),
    ({**QUERY, "variables": 0}, "`variables`: expected a JSON object."),
    ({**QUERY, "variables": False}, "`variables`: expected a JSON object."),
    ({**QUERY, "extensions": "x"}, "`extensions`: expected a JSON object."),
    ({**QUERY, "extensions": []}, "`extensions`: expected a JSON object."),
]


@pytest.mark.parametrize(("body", "message"), BODIES, ids=lambda value: ascii(value)[:60])
async def test_a_body_that_holds_no_request_is_refused(body: Any, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await read_request(post(body), 1_000_000)
    assert (refused.value.status, refused.value.message) == (400, message)


@pytest.mark.parametrize("body", [{}, {"query": None}, {"query": ""}, {"variables": {}}])
async def test_a_request_without_a_query_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest, match="`query`"):
        await read_request(post(body), MAX)
    with pytest.raises(BadRequest, match="`query`"):
        await read_request(get("variables={}"), MAX)


HASH = {"version": 1, "sha256Hash": "ab" * 32}
PERSISTED = "`extensions.persistedQuery`: expected "
NO_HASHES = {
    "a number": (1, f"{PERSISTED}a JSON object"),
    "true": (True, f"{PERSISTED}a JSON object"),
    "a list": ([HASH], f"{PERSISTED}a JSON object"),
    "empty": ({}, f"{PERSISTED}the `version` 1. Send the query itself."),
    "another version": ({**HASH, "version": 2}, f"{PERSISTED}the `version` 1."),
    "a version of text": ({**HASH, "version": "1"}, f"{PERSISTED}the `version` 1."),
    "a version that Python takes for 1": ({**HASH, "version": True}, f"{PERSISTED}the `version` 1."),
    "no hash": ({"version": 1}, f"{PERSISTED}`sha256Hash` to be a string."),
    "an empty hash": ({**HASH, "sha256Hash": ""}, f"{PERSISTED}`sha256Hash` to be a string."),
    "a hash of numbers": ({**HASH, "sha256Hash": [1]}, f"{PERSISTED}`sha256Hash` to be a string."),
}


@pytest.mark.parametrize("query", [{}, {"query": None}, {"query": ""}])
@pytest.mark.parametrize("persisted", [HASH, {**HASH, "miss": True}, {"version": 1.0, "sha256Hash": "id-1"}])
async def test_a_hash_without_its_query_is_refused_as_clients_expect(
    query: dict[str, Any], persisted: dict[str, Any]
) -> None:
    extensions = {"persistedQuery": persisted}
    for sent in (post({**query, "extensions": extensions}), get(f"extensions={json.dumps(extensions)}")):
        with pytest.raises(PersistedQueryNotSupported) as refused:
            await read_request(sent, MAX)
        outcome = outcome_of(refused.value)
        assert outcome.body["errors"] == [
            {
                "message": "PersistedQueryNotSupported",
                "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
            }
        ]
        assert refused.value.headers == {"cache-control": "no-store"}


@pytest.mark.parametrize("query", [{}, QUERY], ids=["alone", "with the query"])
@pytest.mark.parametrize(("persisted", "message"), NO_HASHES.values(), ids=NO_HASHES)
async def test_what_is_no_hash_is_refused(query: dict[str, Any], persisted: object, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await read_request(post({**query, "extensions": {"persistedQuery": persisted}}), MAX)
    assert refused.value.message.startswith(message)


EXPECTED = f"`Content-Type`: expected {JSON}, but got "
GOOD_TYPES = (
    JSON,
    "Application/JSON",
    "application/json; charset=utf-8",
    'application/json;CHARSET="UTF-8"',
    "application/json ; charset = utf8",
    "application/json; version=1",
)


@pytest.mark.parametrize("content_type", GOOD_TYPES)
async def test_json_in_utf8_is_read(content_type: str) -> None:
    assert await read_request(post(QUERY, content_type), MAX) == Request(query=TEXT)


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("", f"{EXPECTED}none."),
        ("text/plain", f"{EXPECTED}text/plain."),
        (GRAPHQL, f"{EXPECTED}{GRAPHQL}."),
        ("application/graphql", f"{EXPECTED}application/graphql."),
        ("application/x-www-form-urlencoded", f"{EXPECTED}application/x-www-form-urlencoded."),
        (
            "multipart/form-data; boundary=x",
            f"{EXPECTED}multipart/form-data.",
        ),
        ("x" * 1000, f"{EXPECTED}{'x' * 50}."),
        (
            "application/json; charset=latin1",
            "`Content-Type`: expected the charset utf-8, but got latin1",
        ),
        ("application/json; charset=utf-16", "`Content-Type`: expected the charset utf-8, but got utf-16."),
    ],
)
async def test_another_content_type_is_refused(content_type: str, message: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        await read_request(post(QUERY, content_type), MAX)
    assert refused.value.message.startswith(message)
    assert refused.value.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
async def test_a_body_comes_as_it_is(encoding: str) -> None:
    for none in ("", "identity", " Identity "):
        assert await read_request(post(QUERY, content_encoding=none), MAX) == Request(query=TEXT)
    with pytest.raises(UnsupportedMediaType, match="Send the body as it is"):
        await read_request(post(QUERY, content_encoding=encoding), MAX)


def padded(size: int) -> bytes:
    return b'{"query":"x"}'.ljust(size)


@pytest.mark.parametrize("pieces", [1, 7, MAX])
async def test_a_body_may_be_as_large_as_the_limit_in_however_many_pieces(pieces: int) -> None:
    def chunked(data: bytes) -> list[bytes]:
        step = -(-len(data) // pieces)
        return [data[start : start + step] for start in range(0, len(data), step)]

    read = await read_request(request(chunks=chunked(padded(MAX)), content_type=JSON), MAX)
    assert read == Request(query="x")
    with pytest.raises(BodyTooLarge) as refused:
        await read_request(request(chunks=chunked(padded(MAX + 1)), content_type=JSON), MAX)
    assert refused.value.message == f"The body is too large. Expected at most {MAX} bytes."
    assert refused.value.status == 413


async def test_an_endless_body_is_not_read_beyond_the_limit() -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 100
        return {"type": "http.request", "body": bytes(100), "more_body": True}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", JSON.encode())]}
    with pytest.raises(BodyTooLarge):
        await read_request(HttpRequest(scope, receive), MAX)
    assert sent == MAX + 100


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_query_in_the_address_is_read_and_cannot_change_anything(method: str) -> None:
    read = await read_request(request(method, query="query={todos{id}}"), MAX)
    assert read == Request(query="{todos{id}}", only_query=True)


async def test_a_websocket_is_refused() -> None:
    with pytest.raises(BadRequest, match="There are no WebSockets and no subscriptions"):
        await read_request(request("GET", query="query={todos{id}}", sec_websocket_key="eA=="), MAX)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "x" * 100])
async def test_other_methods_are_refused_with_those_that_are_not(method: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        await read_request(request(method), MAX)
    assert refused.value.status == 405
    assert refused.value.headers == {"allow": "GET, HEAD, POST"}
    assert refused.value.message == f"Expected GET (queries only) or POST, but got {method[:20]}."


@pytest.mark.parametrize(
    ("parameters", "read"),
    [
        ("query=%7B+todos%20%7B%20id%20%7D%20%7D", {"query": "{ todos { id } }"}),
        (
            "query=x&operationName=a&variables={%22a%22:1}",
            {"query": "x", "operation_name": "a", "variables": {"a": 1}},
        ),
        ("query=x&operationName=&variables=&extensions=", {"query": "x"}),
        ("query=x&variables=null", {"query": "x"}),
        ("query=x&extensions={}&other=1", {"query": "x"}),
        ("query=%F0%9F%98%80", {"query": "😀"}),
        ("query=%ED%A0%80", {"query": "\ufffd" * 3}),
        ("query=a&query=b", {"query": "b"}),
        ("query=x&variables={%22a%22:%22\\ud800%22}", {"query": "x", "variables": {"a": "\ud800"}}),
    ],
)
async def test_a_url_is_read_and_allows_queries_only(parameters: str, read: dict[str, Any]) -> None:
    assert await read_request(get(parameters), MAX) == Request(**read, only_query=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("query=x&variables={", NO_VARIABLES),
        ("query=x&variables=NaN", NO_VARIABLES),
        (
            f"query=x&variables={'[' * 50_000}",
            NO_VARIABLES,
        ),
        ("query=x&extensions=x", "Expected `extensions` to be JSON, but it cannot be read as such."),
        ("query=x&variables=[]", "`variables`: expected a JSON object."),
        ("query=x&variables=%22a%22", "`variables`: expected a JSON object."),
        ("query=x&extensions=3", "`extensions`: expected a JSON object."),
    ],
    ids=lambda text: text[:40],
)
async def test_an_address_that_holds_no_request_is_refused(parameters: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await read_request(get(parameters), MAX)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("outcome", "as_json", "as_graphql"),
    [
        (Outcome({"data": None}), 200, 200),
        (Outcome({"errors": []}, 400), 200, 400),
        (outcome_of(BadRequest("x")), 400, 400),
        (outcome_of(BodyTooLarge("x")), 413, 413),
        (outcome_of(NotAcceptable("x")), 406, 406),
        (outcome_of(UnsupportedMediaType("x")), 415, 415),
        (outcome_of(MethodNotAllowed("x", allow="GET")), 405, 405),
        (outcome_of(Unauthenticated("x")), 401, 401),
        (outcome_of(ApiError("x")), 500, 500),
        (outcome_of(PersistedQueryNotSupported()), 200, 400),
    ],
    ids=str,
)
def test_plain_json_has_status_200_for_whatever_was_a_graphql_request(
    outcome: Outcome, as_json: int, as_graphql: int
) -> None:
    for media_type, status in ((JSON, as_json), (GRAPHQL, as_graphql)):
        response = response_of(outcome, media_type)
        assert response.status_code == status
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert json.loads(bytes(response.body)) == outcome.body


def test_an_error_of_the_request_has_a_message_and_a_code_alone() -> None:
    body = {"errors": [{"message": "x", "extensions": {"code": "BAD_REQUEST"}}]}
    assert outcome_of(BodyTooLarge("x")).body == body
    response = response_of(outcome_of(Unauthenticated("x")), JSON, {"www-authenticate": "Bearer"})
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("text", ["é", "😀", "\0", '"\\', "\ud800", "a\udfffb", "\u2028"], ids=ascii)
def test_any_text_can_be_written(text: str) -> None:
    response = response_of(Outcome({"data": {"a": text}}), JSON)
    assert json.loads(bytes(response.body)) == {"data": {"a": text}}
    assert int(response.headers["content-length"]) == len(response.body)
