"""What one invocation carries to the function."""

import secrets
import time
from dataclasses import dataclass, field

from infra.local.lambda_service.reply import Reply


def new_trace_id() -> str:
    """Make an X-Amzn-Trace-Id that is not sampled."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


@dataclass(frozen=True)
class Invocation:
    """One event for one function, and the reply that it waits for.

    Shape:  `token` marks this delivery; a runtime echoes it, so that a late reply to an earlier one
            is told apart.
    """

    event: bytes
    trace_id: str
    request_id: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    reply: Reply = field(default_factory=Reply)
