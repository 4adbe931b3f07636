"""What engines send as one JSON object: a whole reply, the data of an event, or an error in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from functions.chat.engines.engine import End, Event, Failure, Reply
from functions.chat.engines.errors import reports_error, translate
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import parse

from .normalise import broken, usage_of


class WholeReply:
    """Read one whole reply; its kind says by `_normalise` how it leaves.

    Shape:  `otherwise` makes the error for what is no such reply. `exact`: see `parse`.
    """

    exact = True

    def __init__(self, model: str, otherwise: Callable[[], UpstreamError] = broken) -> None:
        self.ended = False
        self._model, self._otherwise = model, otherwise
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take a piece of the body."""
        self._pieces.append(data)
        return ()

    def flush(self) -> Sequence[Event]:
        """Take the end of the body; return the reply and the end, or a failure."""
        self.ended = True
        usage = None
        try:
            body = b"".join(self._pieces)
            reply = object_of(body, self._model, otherwise=self._otherwise, exact=self.exact)
            usage = usage_of(reply.get("usage"))
            return (Reply(self._normalise(reply, usage)), End(usage))
        except ApiError as failure:
            return (Failure(failure, usage),)

    def _normalise(self, reply: dict[str, Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        raise NotImplementedError


def object_of(
    payload: bytes,
    model: str,
    *,
    is_error: bool = False,
    otherwise: Callable[[], UpstreamError] = broken,
    exact: bool = True,
) -> dict[str, Any]:
    """Parse a JSON object.

    Raises: ApiError, for an error that the engine reports, and for anything else.
    """
    try:
        value = parse(payload, exact=exact)
    except (ValueError, RecursionError) as error:
        raise otherwise() from error
    if is_error or reports_error(value):
        raise translate(model, 200, value)
    if not isinstance(value, dict):
        raise otherwise()
    choices = value.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("error"):
            raise translate(model, 200, choice)
    return value
