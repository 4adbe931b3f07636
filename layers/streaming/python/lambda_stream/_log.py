"""The function's log: Lambda's two formats, and the frames of its telemetry descriptor.

Source: awslambdaric 4.2.2, `FramedTelemetryLogSink` and `lambda_runtime_log_utils`; AWS Lambda, "Advanced
        logging controls"; both read 2026-11-22.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable

from ._events import Exchange, current
from ._logger import logger

LEVELS = {"TRACE": logging.DEBUG, "FATAL": logging.CRITICAL, **logging.getLevelNamesMapping()}

_TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_JSON_FRAME, _TEXT_FRAME = 0xA55A0002, 0xA55A0003

Write = Callable[[str, int], None]


class LambdaLogHandler(logging.Handler):
    """Writes each record with the id of the request that it belongs to.

    `only` is the invocation that is served, or was last: as long as they are served one at a time, it is also
    that of a thread which was started without a context.
    """

    def __init__(self, write: Write, log_json: bool) -> None:
        super().__init__()
        self.only: Exchange | None = None
        self._write = write
        self._frame = _JSON_FRAME if log_json else _TEXT_FRAME

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, in one frame."""
        exchange = current.get() or self.only
        record.aws_request_id = exchange.invocation.request_id if exchange else ""
        try:
            self._write(self.format(record), self._frame + frame_level(record.levelno))
        except Exception:  # noqa: BLE001 - logging's own contract: a log never breaks its caller
            self.handleError(record)


def frame_level(level: int) -> int:
    """Return the part of a frame's type that stands for its level."""
    step = min(5, max(0, level // 10))
    return 4 + 4 * step if step else 0


def frame(frame_type: int, message: bytes, time_us: int) -> bytes:
    """Return one telemetry frame: type, length, timestamp, message, in network order."""
    return (
        frame_type.to_bytes(4, "big") + len(message).to_bytes(4, "big") + time_us.to_bytes(8, "big") + message
    )


def configure(log_json: bool, level: str, fd: int | None) -> LambdaLogHandler:
    """Send the root logger's records to Lambda, and the runtime's own; returns the root's new handler."""
    write = _to_stdout if fd is None else _to_descriptor(fd)
    # The runtime's own handler is another one: an app may close or replace those of the root logger.
    handlers = [LambdaLogHandler(write, log_json) for _ in range(2)]
    logger.handlers.clear()
    for handler, owner in zip(handlers, (logging.getLogger(), logger), strict=True):
        handler.setFormatter(_formatter(log_json))
        owner.addHandler(handler)
        if level in LEVELS:
            owner.setLevel(LEVELS[level])
    return handlers[0]


def redirect_output(path: str) -> None:
    """Write stdout and stderr to the socket that Lambda Managed Instances provide, each on a connection.

    AWS documents neither the variable nor the socket.
    Source: awslambdaric 4.2.2, `MultiConcurrentRunner._redirect_output`, read 2026-11-28.
    """
    for stream in (sys.stdout, sys.stderr):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            os.dup2(connection.fileno(), stream.fileno())


def _formatter(log_json: bool) -> logging.Formatter:
    if log_json:
        from ._log_json import JsonFormatter

        return JsonFormatter()
    formatter = logging.Formatter(_TEXT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter


def _to_stdout(message: str, _frame_type: int) -> None:
    sys.stdout.write(message)
    sys.stdout.flush()


def _to_descriptor(fd: int) -> Write:
    """Write frames to the descriptor that Lambda has passed."""
    sink = open(fd, "wb", buffering=0)  # noqa: SIM115 - open as long as the process

    def write(message: str, frame_type: int) -> None:
        sink.write(frame(frame_type, message.encode("utf-8", "replace"), time.time_ns() // 1000))

    return write
