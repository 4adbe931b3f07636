"""AWS's services: the only module that knows boto3.

boto3 takes longer to import than all else together: `warm` does so in a thread, and no function waits for it
before it needs an answer. Its clients block, so async callers wait in threads for them. A question that got
no answer is asked once more where that does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# At its lowest level it would log what it sends.
logging.getLogger("botocore").setLevel(logging.WARNING)

CONNECT_TIMEOUT_S = 1
READ_TIMEOUT_S = 2
_POOL = 50
_PAUSE_S = 0.05
_THROTTLED = ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException")


class AwsError(Exception):
    """A service refused, or could not be asked. The text is AWS's code for it, or boto's name.

    Shape:  `response` is what AWS answered, {} where nothing came; it may quote what was asked.
    """

    def __init__(self, code: str, response: dict[str, Any]) -> None:
        super().__init__(code)
        self.code, self.response = code, response


class Aws:
    """One account in one region, whose services share what takes time to load."""

    def __init__(self, *, region: str | None = None) -> None:
        self._region = region
        self._session: Any = None
        self._making = threading.Lock()
        self._services: list[Service] = []
        self._working: list[threading.Thread] = []

    def service(self, name: str, *, endpoint_url: str | None = None) -> Service:
        """Return a service; nothing is loaded or asked yet."""
        service = Service(self, name, endpoint_url)
        self._services.append(service)
        return service

    def begin(self, work: Callable[[], None]) -> None:
        """Do something in a thread, which `settle` waits for."""
        thread = threading.Thread(target=work, name="aws", daemon=True)
        thread.start()
        self._working = [each for each in self._working if each.is_alive()] + [thread]

    def settle(self) -> None:
        """Wait for what has begun, and close every connection: whoever needs one opens it anew."""
        for thread in self._working:
            thread.join()
        for service in self._services:
            service.close()

    def make_client(self, name: str, endpoint_url: str | None) -> Any:
        """Return a new client of boto3's. It blocks; one is made at a time."""
        with self._making:
            import boto3
            from botocore.config import Config

            if self._session is None:
                self._session = boto3.session.Session(region_name=self._region)
            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=_POOL,
                tcp_keepalive=True,
            )
            return self._session.client(name, endpoint_url=endpoint_url, config=config)


class Service:
    """One service of AWS's. Its methods block, but for `warm`."""

    def __init__(self, aws: Aws, name: str, endpoint_url: str | None) -> None:
        self._aws, self._name, self._endpoint_url = aws, name, endpoint_url
        self._client: Any = None
        self._making = threading.Lock()

    @property
    def client(self) -> Any:
        """Boto3's client, made when it is first needed."""
        if self._client is None:
            with self._making:
                self._client = self._client or self._aws.make_client(self._name, self._endpoint_url)
        return self._client

    def warm(self) -> None:
        """Begin to import boto3 and to make the client, in a thread."""

        def make() -> None:
            with suppress(AwsError), _translated():
                _ = self.client

        self._aws.begin(make)

    def ask(self, operation: str, *, repeatable: bool = True, **question: Any) -> Any:
        """Return the answer to a question. `repeatable`: that it is done twice comes to the same.

        Raises: AwsError.
        """
        with _translated():
            from botocore.exceptions import BotoCoreError, ClientError

            ask = getattr(self.client, operation)
            try:
                return ask(**question)
            except (BotoCoreError, ClientError) as error:
                if not _worth_repeating(error, repeatable):
                    raise
            time.sleep(_PAUSE_S)
            return ask(**question)

    def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        # Without its cause, whose text may quote what was asked.
        raise AwsError(_code(error), _response(error)) from None


def _worth_repeating(error: Exception, repeatable: bool) -> bool:
    from botocore import exceptions

    if isinstance(error, exceptions.ConnectionError) or _code(error) in _THROTTLED:
        return True  # nothing was done
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return repeatable and (status >= 500 or isinstance(error, exceptions.HTTPClientError))


def _code(error: Exception) -> str:
    """Return AWS's name for an error, or boto's where nothing came from AWS."""
    return str(_response(error).get("Error", {}).get("Code") or type(error).__name__)


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}
