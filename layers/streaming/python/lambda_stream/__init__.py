"""Streams any ASGI app from a Python Lambda function.

One byte's path: `_loop` takes an invocation from `_runtime_api`, `_cycle` runs the app on it, `_reply`
frames what the app sends, `_response` writes it to the Runtime API's socket.
"""

from ._errors import AppMisbehaved, CallerGone
from ._handler import StreamingHandler

__all__ = ["AppMisbehaved", "CallerGone", "StreamingHandler"]
