"""Streams any ASGI app from a Python Lambda function.

One byte's path: `_loop` takes an invocation from `_runtime_api` and calls the handler, `_requests` reads the
event, `_cycle` runs the app on it, `_reply` frames what the app sends, `_response` writes it to the socket.
Where an environment serves many invocations at once, `_concurrent` takes them, and the rest is the same.
`_concurrent` does so for many invocations at once.
"""

from ._errors import AppMisbehaved, CallerGone, Failure
from ._events import trace_id
from ._handler import StreamingHandler

__all__ = ["AppMisbehaved", "CallerGone", "Failure", "StreamingHandler", "trace_id"]
