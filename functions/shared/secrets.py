"""Secrets of Secrets Manager, by ARN: fetched on first use, and again after 5 minutes.

So a secret that was changed there is in use within 5 minutes. Where Secrets Manager cannot be asked, the
value that is known goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from .aws import Aws, AwsError
from .clock import Clock

logger = logging.getLogger("secrets")

KNOWN_S = 300.0
# After Secrets Manager could not be asked, a known value does not wait for it for this long.
PAUSE_S = 30.0


class SecretsUnavailable(Exception):
    """A secret could not be fetched, and was not known. The text is AWS's code for it, for operators."""


@dataclass(slots=True)
class _Known:
    text: str = field(repr=False)
    ask_from: float


class Secrets:
    """What Secrets Manager keeps, as text."""

    def __init__(self, aws: Aws, *, clock: Clock | None = None) -> None:
        self._aws, self._service = aws, aws.service("secretsmanager")
        self._clock = clock or Clock()
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def warm(self, *arns: str) -> None:
        """Begin to fetch these, in threads: whoever needs one meanwhile waits for that."""
        for arn in arns:
            self._ask_once(arn)

    async def value(self, arn: str) -> str:
        """Return a secret's text.

        Raises: SecretsUnavailable.
        """
        known = self._known.get(arn)
        if known and self._clock.elapsed_s() < known.ask_from:
            return known.text
        try:
            return await asyncio.wrap_future(self._ask_once(arn))
        except SecretsUnavailable:
            known = self._known.get(arn)
            if not known:
                raise
            known.ask_from = self._clock.elapsed_s() + PAUSE_S
            return known.text

    def expire(self, arn: str) -> None:
        """Fetch a secret anew the next time: what it said has led nowhere."""
        known = self._known.get(arn)
        if known:
            known.ask_from = 0.0

    def _ask_once(self, arn: str) -> Future[str]:
        """Join the question for this secret, or begin one; whoever leaves does not stop it."""
        with self._lock:
            future = self._asking.get(arn)
            if future is None:
                future = self._asking[arn] = Future()
                future.set_running_or_notify_cancel()
                asked_at = self._clock.elapsed_s()
                self._aws.start(partial(self._ask, arn, future, asked_at))
            return future

    def _ask(self, arn: str, future: Future[str], asked_at: float) -> None:
        try:
            text = self._fetch(arn)
        except BaseException as error:  # noqa: BLE001 - whoever waits must be told
            self._asking.pop(arn)
            future.set_exception(error)
        else:
            self._known[arn] = _Known(text, asked_at + KNOWN_S)
            self._asking.pop(arn)
            future.set_result(text)

    def _fetch(self, arn: str) -> str:
        try:
            answer = self._service.call("get_secret_value", SecretId=arn)
        except AwsError as error:
            code = error.code
        else:
            if "SecretString" in answer:
                return str(answer["SecretString"])
            code = "NoSecretString"
        logger.warning("AWS: %s", code)
        raise SecretsUnavailable(code)
