"""Errors in Lambda's own words.

Source: awslambdaric 4.2.2, `handle_event_request` and `make_error`, read 2026-11-22.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import traceback

from ._errors import Fault

# Of the runtime, and of the threads in which it calls functions.
_OWN_FOLDERS = {
    os.path.dirname(os.path.abspath(module)) for module in (__file__, concurrent.futures.__file__)
}


def describe(error: BaseException, request_id: str = "") -> tuple[str, bytes]:
    """Return an error's Lambda type and its report, the runtime's own frames left out."""
    if isinstance(error, Fault):
        return error.error_type, error_report(error.error_type, str(error), error.trace, request_id)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if os.path.dirname(frame.filename) not in _OWN_FOLDERS]
    kind = type(error).__name__
    return kind, error_report(kind, str(error), traceback.format_list(theirs), request_id)


def error_report(error_type: str, message: str, trace: list[str], request_id: str = "") -> bytes:
    """Return an error as Lambda's JSON object."""
    report = {
        "errorMessage": message,
        "errorType": error_type,
        "requestId": request_id,
        "stackTrace": trace,
    }
    return json.dumps(report, ensure_ascii=False).encode("utf-8", "replace")
