import asyncio
import json
import logging
import os
import sys
from typing import Any

import pytest
from lambda_stream import _log
from lambda_stream.__main__ import search_path
from lambda_stream._errors import Fault
from lambda_stream._events import Exchange, Invocation, current
from lambda_stream._importer import import_handler
from lambda_stream._log_json import JsonFormatter
from lambda_stream._report import describe
from lambda_stream._runtime_api import _read_answer
from lambda_stream._settings import Settings

LAMBDA = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "_HANDLER": "handler.handler"}


def test_settings_of_a_bare_environment() -> None:
    settings = Settings.from_environ(LAMBDA, [])
    assert (settings.api_address, settings.handler) == ("127.0.0.1:9001", "handler.handler")
    assert (settings.streams, settings.log_fd, settings.max_concurrency) == (None, None, None)
    assert not settings.snap_start
    assert not settings.log_json


@pytest.mark.parametrize(("value", "streams"), [("", ()), ("A,B", ("A", "B")), ("A B", ("A", "B"))])
def test_streams_of_the_environment(value: str, streams: tuple[str, ...]) -> None:
    assert Settings.from_environ({**LAMBDA, "LAMBDA_STREAMS": value}, []).streams == streams


def test_a_handler_as_argument_wins() -> None:
    assert Settings.from_environ(LAMBDA, ["other.handler"]).handler == "other.handler"


def test_the_search_path_is_the_stock_runtimes() -> None:
    environ = {"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
    site = f"/opt/python/lib/python3.{sys.version_info.minor}/site-packages"
    expected = ["/var/task", site, "/opt/python", "/var/runtime", "/lib"]
    assert search_path(environ, "/opt/python", ["/lib"]) == expected
    expected.remove(site)
    assert search_path({**environ, "PYTHONPATH": "/lib"}, "/opt/python", ["/lib"]) == expected


@pytest.mark.parametrize(
    ("name", "error_type", "text"),
    [
        ("handler", "Runtime.MalformedHandlerName", "Bad handler 'handler': expected 'module.attribute'"),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        ("no_such.handler", "Runtime.ImportModuleError", "Unable to import module 'no_such'"),
        ("json.no_such", "Runtime.HandlerNotFound", "Handler 'no_such' missing on module 'json'"),
    ],
)
def test_handlers_that_cannot_be_imported(name: str, error_type: str, text: str) -> None:
    with pytest.raises(Fault, match=text) as caught:
        import_handler(name)
    assert caught.value.error_type == error_type


def test_a_slash_may_stand_for_a_dot() -> None:
    assert import_handler("os/path.join") == os.path.join


def test_reports_are_lambdas() -> None:
    try:
        import_handler("json.no_such")
    except Fault as error:
        kind, report = describe(error, "1")
    assert kind == "Runtime.HandlerNotFound"
    assert list(json.loads(report)) == ["errorMessage", "errorType", "requestId", "stackTrace"]


@pytest.mark.parametrize(
    ("level", "text", "as_json"),
    [
        (logging.NOTSET, 0xA55A0003, 0xA55A0002),
        (logging.DEBUG, 0xA55A000B, 0xA55A000A),
        (logging.INFO, 0xA55A000F, 0xA55A000E),
        (logging.WARNING, 0xA55A0013, 0xA55A0012),
        (logging.ERROR, 0xA55A0017, 0xA55A0016),
        (logging.CRITICAL, 0xA55A001B, 0xA55A001A),
        (logging.INFO + 5, 0xA55A000F, 0xA55A000E),
    ],
)
def test_frames_have_format_and_level(level: int, text: int, as_json: int) -> None:
    frames: list[int] = []
    for log_json in (False, True):
        handler = _log.LambdaLogHandler(lambda _message, kind: frames.append(kind), log_json)
        handler.emit(logging.LogRecord("name", level, "path", 1, "text", None, None))
    assert frames == [text, as_json]


def test_a_frame_is_these_bytes() -> None:
    expected = b"\xa5\x5a\x00\x03" + b"\0\0\0\x05" + b"\0\0\0\0\0\x0f\x42\x40" + b"gr\xc3\xbcn"
    assert _log.frame(0xA55A0003, "grün".encode(), 1_000_000) == expected


def test_text_lines_are_lambdas() -> None:
    lines: list[str] = []
    handler = _log.LambdaLogHandler(lambda message, _kind: lines.append(message), log_json=False)
    handler.setFormatter(_log._formatter(log_json=False))
    handler.only = exchange("request-1")
    record = logging.LogRecord("name", logging.INFO, "path", 1, "text %d", (1,), None)
    record.created, record.msecs = 0, 7
    handler.emit(record)
    assert lines == ["[INFO]\t1970-01-01T00:00:00.007Z\trequest-1\ttext 1\n"]


def exchange(request_id: str) -> Exchange:
    """Return an invocation that only has an id."""

    def unused(*_: object) -> Any:
        raise NotImplementedError

    return Exchange(Invocation(request_id, b"", 0), streams=None, adopt=unused, run=unused, stream=unused)


def test_each_task_logs_with_the_request_that_started_it() -> None:
    lines: list[str] = []
    handler = _log.LambdaLogHandler(lambda message, _kind: lines.append(message), log_json=False)
    handler.setFormatter(logging.Formatter("%(aws_request_id)s"))
    handler.only = exchange("last")

    async def log(request_id: str) -> None:
        current.set(exchange(request_id))
        await asyncio.sleep(0)
        handler.emit(logging.LogRecord("name", logging.INFO, "path", 1, "text", None, None))

    async def both() -> None:
        await asyncio.gather(log("1"), log("2"))

    asyncio.run(both())
    handler.emit(logging.LogRecord("name", logging.INFO, "path", 1, "text", None, None))
    assert lines == ["1", "2", "last"]


def test_json_lines_are_lambdas() -> None:
    try:
        raise ValueError("text")
    except ValueError:
        record = logging.LogRecord("name", logging.ERROR, "path", 1, "failed", None, sys.exc_info())
    record.created = 0
    record.model = "default"
    fields = json.loads(JsonFormatter().format(record))
    assert fields.pop("stackTrace")
    assert fields == {
        "timestamp": "1970-01-01T00:00:00Z",
        "level": "ERROR",
        "message": "failed",
        "logger": "name",
        "errorType": "ValueError",
        "errorMessage": "text",
        "location": "path:None:1",
        "model": "default",
    }


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 5", b"hello"),
        (b"Transfer-Encoding: chunked", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n"),
    ],
)
def test_answers_of_both_framings(head: bytes, body: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 200 OK\r\nX-Name:  v \r\n" + head + b"\r\n\r\n" + body)
        answer = await _read_answer(reader)
        assert (answer.status, answer.headers["x-name"], answer.body) == (200, "v", b"hello")

    asyncio.run(read())
