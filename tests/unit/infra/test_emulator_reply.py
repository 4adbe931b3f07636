import json

import pytest

from infra.emulator.errors import CannotInvoke
from infra.emulator.reply import Reply

PRELUDE = json.dumps({"statusCode": 201, "headers": {"a": "b"}, "cookies": ["c=1", "d=2"]}).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            PRELUDE + b"\0" * 8 + b"Gr\xc3\xbc\xc3\x9fe",
            "HTTP/1.1 201\na: b\nset-cookie: c=1\nset-cookie: d=2\n\nGrüße",
        ),
        (PRELUDE + b"\0" * 8, "HTTP/1.1 201\na: b\nset-cookie: c=1\nset-cookie: d=2\n\n"),
        (b'{"statusCode": 200, "body": "whole"}', "HTTP/1.1 200\n\nwhole"),
        (b'{"statusCode": 204}', "HTTP/1.1 204\n\n"),
        (b'{"statusCode": 200, "body": "R3I=", "isBase64Encoded": true}', "HTTP/1.1 200\n\nGr"),
        (
            b'{"statusCode": 200, "body": "/wA=", "isBase64Encoded": true}',
            "HTTP/1.1 200\n\n(2 bytes that are no text)",
        ),
        (
            b'{"statusCode": 200, "multiValueHeaders": {"a": ["b", "c"]}, "body": "x"}',
            "HTTP/1.1 200\na: b, c\n\nx",
        ),
        (b'["of another kind"]', '["of another kind"]'),
    ],
    ids=["streamed", "streamed empty", "whole", "empty", "base64", "binary", "REST", "not HTTP"],
)
def test_it_is_written_as_on_the_wire(content: bytes, text: str) -> None:
    assert Reply.read(content).text() == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            b'{"errorType": "Runtime.ExitError", "errorMessage": "it left"}',
            "failed: Runtime.ExitError: it left",
        ),
        (b"Task timed out after 30.00 seconds", "did not reply: Task timed out after 30.00 seconds"),
        (b"", "did not reply"),
    ],
    ids=["failed", "timed out", "nothing"],
)
def test_no_reply(content: bytes, text: str) -> None:
    with pytest.raises(CannotInvoke, match=text):
        Reply.read(content)
