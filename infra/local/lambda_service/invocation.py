"""What one invocation carries to the function, and back."""

import secrets
import time
from dataclasses import dataclass, field

from infra.local.lambda_service.reply import FunctionReply


def new_trace_id() -> str:
    """Return an X-Amzn-Trace-Id that is not sampled."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


@dataclass(frozen=True, eq=False)
class Invocation:
    """One event for one function, and the function's reply to it.

    Shape:  `token` identifies this delivery of the event; a runtime sends it back with its reply, so that a
            late reply to an earlier delivery is refused.
    """

    event: bytes
    trace_id: str
    request_id: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    reply: FunctionReply = field(default_factory=FunctionReply)
