"""Log records as JSON objects; imported only where the log's format is JSON.

Source: awslambdaric 4.2.2, `JsonFormatter`, read 2026-11-22: the same keys.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"aws_request_id", "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, the caller's `extra` fields included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as Lambda's JSON log object."""
        fields: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.msg
            if isinstance(record.msg, dict) and not record.args
            else record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", None),
            **_error_fields(record),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _OWN | fields.keys()}
        kept = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, default=str) + "\n"


def _error_fields(record: logging.LogRecord) -> dict[str, Any]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, error, trace = record.exc_info
    return {
        "errorType": kind.__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_tb(trace),
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
    }
