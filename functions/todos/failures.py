"""What callers get when the function itself fails: at its deadline, or when an exception escapes the app."""

from __future__ import annotations

import json
from typing import Protocol

from .errors import BadRequest, InternalError
from .graphql_http import outcome_of


class Failure(Protocol):
    """What the streaming layer knows of a failed reply."""

    @property
    def kind(self) -> str: ...

    @property
    def message(self) -> str: ...


def error_body(failure: Failure) -> bytes:
    """Return the body of an error reply: a GraphQL error."""
    error = BadRequest if failure.kind == "malformed" else InternalError
    return json.dumps(outcome_of(error(failure.message)).body, separators=(",", ":")).encode()
