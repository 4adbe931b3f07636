import base64
import json
from typing import Any

import pytest
from lambda_stream import AppMisbehaved, _reply
from lambda_stream._errors import DEADLINE, Failure, malformed

NULS = b"\0" * 8


def decoded(prelude: bytes) -> Any:
    encoded, delimiter, rest = prelude.partition(NULS)
    assert (delimiter, rest) == (NULS, b"")
    return json.loads(encoded)


def test_prelude_has_three_fields_and_eight_nuls() -> None:
    assert _reply.prelude(201, []) == b'{"statusCode":201,"headers":{},"cookies":[]}' + NULS


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"X-A", b"1")], {"x-a": "1"}),
        ([(b"x-a", b"1"), (b"X-A", b"2"), (b"x-a", b"3")], {"x-a": "1, 2, 3"}),
        ([(b"x-a", bytes(range(160, 256)))], {"x-a": bytes(range(160, 256)).decode("latin-1")}),
        ([[b"x-a", b"lists are headers too"]], {"x-a": "lists are headers too"}),
        ([(b"Content-Length", b"5"), (b"TE", b"trailers"), (b"Upgrade", b"h2c")], {}),
        ([(b"proxy-authenticate", b"Basic"), (b"Keep-Alive", b"5"), (b"trailer", b"x")], {}),
        ([(b"content-encoding", b"Identity")], {}),
    ],
)
def test_headers(headers: Any, expected: dict[str, str]) -> None:
    assert decoded(_reply.prelude(200, headers))["headers"] == expected


def test_cookies_stay_apart() -> None:
    cookies = [(b"Set-Cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"), (b"set-cookie", b"b=2")]
    assert decoded(_reply.prelude(200, cookies))["cookies"] == [value.decode() for _, value in cookies]


def test_encoded_bodies_are_refused() -> None:
    with pytest.raises(AppMisbehaved, match=r"but got 'br': .* send it unencoded"):
        _reply.prelude(200, [(b"Content-Encoding", b"br")])


def test_the_prelude_may_have_16_kib_with_its_delimiter() -> None:
    room = _reply.PRELUDE_MAX_BYTES - len(_reply.prelude(200, [(b"x", b"")]))
    assert len(_reply.prelude(200, [(b"x", b"v" * room)])) == 16384
    with pytest.raises(AppMisbehaved, match="within 16 KiB but got 16385 bytes"):
        _reply.prelude(200, [(b"x", b"v" * (room + 1))])


@pytest.mark.parametrize("failure", [DEADLINE, malformed("x"), Failure.raised(ValueError("secret"))])
def test_error_bodies_show_nothing_of_the_application(failure: Failure) -> None:
    assert json.loads(_reply.error_body(failure)) == {"message": failure.message}
    assert "secret" not in failure.message


def test_error_trailers() -> None:
    last, kind, body, *end = _reply.error_trailers(DEADLINE, "request-1").split(b"\r\n")
    assert last == b"0"
    assert kind == b"Lambda-Runtime-Function-Error-Type: Runtime.DeadlineExceeded"
    name, _, encoded = body.partition(b": ")
    assert name == b"Lambda-Runtime-Function-Error-Body"
    assert json.loads(base64.b64decode(encoded))["requestId"] == "request-1"
    assert end == [b"", b""]


def test_error_types_stay_on_their_line() -> None:
    class Größe(Exception):
        pass

    failure = Failure.raised(Größe())
    assert b"Error-Type: Gr??e\r\n" in _reply.error_trailers(failure, "1")


def test_a_group_is_reported_by_its_first_leaf() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("secret")]), ValueError()])
    assert Failure.raised(group).error_type == "KeyError"
