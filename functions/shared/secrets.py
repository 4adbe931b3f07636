"""Secrets of Secrets Manager, by ARN: fetched on first use, and again after 5 minutes.

So a changed secret is in use within 5 minutes. While Secrets Manager is unavailable, the last value is used.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from functools import partial

from .aws import Aws, AwsError
from .clock import Clock

logger = logging.getLogger("secrets")

KNOWN_S = 300.0
# After a failed fetch, a known value is used without another for this long.
PAUSE_S = 30.0


class SecretsUnavailable(Exception):
    """A secret could not be fetched, and no value is known. The text is AWS's code for it, for operators."""


class _Known:
    def __init__(self, text: str, refresh_at: float) -> None:
        self.text, self.refresh_at = text, refresh_at


class Secrets:
    """The texts that Secrets Manager keeps."""

    def __init__(self, aws: Aws, *, clock: Clock | None = None) -> None:
        self._aws, self._service = aws, aws.service("secretsmanager")
        self._clock = clock or Clock()
        self._known: dict[str, _Known] = {}
        self._fetches: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def warm(self, *arns: str) -> None:
        """Start to fetch these, in threads; a caller that needs one waits for the same fetch."""
        for arn in arns:
            self._fetch_once(arn)

    async def value(self, arn: str) -> str:
        """Return a secret's text.

        Raises: SecretsUnavailable.
        """
        known = self._known.get(arn)
        if known and self._clock.elapsed_s() < known.refresh_at:
            return known.text
        try:
            return await asyncio.wrap_future(self._fetch_once(arn))
        except SecretsUnavailable:
            known = self._known.get(arn)
            if not known:
                raise
            known.refresh_at = self._clock.elapsed_s() + PAUSE_S
            return known.text

    def expire(self, arn: str) -> None:
        """Fetch a secret again at its next use, because its value was rejected."""
        known = self._known.get(arn)
        if known:
            known.refresh_at = 0.0

    def _fetch_once(self, arn: str) -> Future[str]:
        """Join the running fetch of this secret, or start one; a cancelled caller does not stop it."""
        with self._lock:
            future = self._fetches.get(arn)
            if future is None:
                future = self._fetches[arn] = Future()
                future.set_running_or_notify_cancel()
                started_at = self._clock.elapsed_s()
                self._aws.start(partial(self._fetch, arn, future, started_at))
            return future

    def _fetch(self, arn: str, future: Future[str], started_at: float) -> None:
        try:
            text = self._text(arn)
        except BaseException as error:  # noqa: BLE001 - its callers raise it
            self._fetches.pop(arn)
            future.set_exception(error)
        else:
            self._known[arn] = _Known(text, started_at + KNOWN_S)
            self._fetches.pop(arn)
            future.set_result(text)

    def _text(self, arn: str) -> str:
        try:
            response = self._service.call("get_secret_value", SecretId=arn)
        except AwsError as error:
            code = error.code
        else:
            if "SecretString" in response:
                return str(response["SecretString"])
            code = "NoSecretString"
        logger.warning("AWS: %s", code)
        raise SecretsUnavailable(code)
