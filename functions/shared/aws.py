"""AWS's services: what functions and commands call, and which calls are safe to retry.

`signed.Signed` calls the few services that functions need for a request; `boto.Boto` any service, by boto3.
Calls block, so async callers make them with `in_thread`. A call that got no response is retried once where
that is safe.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 2.0
# As many as an environment has requests at once.
MAX_CONNECTIONS = 64
_PAUSE_S = 0.05
THROTTLED = ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException")

Result = TypeVar("Result")


class AwsError(Exception):
    """A service refused a call, or could not be reached. The text is AWS's code, or what botocore calls it.

    Shape:  `response` is AWS's response, {} where there was none; it may quote the parameters of the call.
            `unreached`: there was no connection. `lost`: there was one, but no response.
    """

    def __init__(
        self, code: str, response: dict[str, Any], *, unreached: bool = False, lost: bool = False
    ) -> None:
        super().__init__(code)
        self.code, self.response, self.unreached, self.lost = code, response, unreached, lost

    @property
    def was_not_done(self) -> bool:
        """Whether it is known that the call has changed nothing."""
        return self.unreached or self.code in THROTTLED

    @property
    def may_have_been_done(self) -> bool:
        """Whether the service failed at the call, or no response came."""
        status: int = self.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return self.lost or status >= 500


class Client(Protocol):
    """What calls one service, once for each call. Its methods block."""

    def send(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Call an operation, in boto3's names, and return its response.

        Raises: AwsError.
        """

    def connect(self) -> None:
        """Do what can be done ahead of the first call.

        Raises: AwsError.
        """

    def close(self) -> None:
        """Close all connections; the next call opens a new one."""


class Clients(Protocol):
    """One account in one region."""

    def client(self, name: str, endpoint_url: str | None, read_timeout_s: float) -> Client:
        """Return a new client. It blocks.

        Raises: AwsError.
        """


class Aws:
    """The services of one account in one region, and the work that is started for them in threads."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self._services: list[Service] = []
        self._working: list[threading.Thread] = []

    def service(
        self, name: str, *, endpoint_url: str | None = None, read_timeout_s: float | None = None
    ) -> Service:
        """Return a service; nothing is loaded or called yet."""
        service = Service(self, name, endpoint_url, read_timeout_s or READ_TIMEOUT_S)
        self._services.append(service)
        return service

    def start(self, work: Callable[[], None]) -> None:
        """Start work in a thread; `drain` waits for it."""
        thread = threading.Thread(target=work, name="aws", daemon=True)
        thread.start()
        self._working = [each for each in self._working if each.is_alive()] + [thread]

    def drain(self) -> None:
        """Wait for the work that was started, and close all connections: the next call opens a new one."""
        for thread in self._working:
            thread.join()
        for service in self._services:
            service.close()


class Service:
    """One of AWS's services. Its methods block, except `warm`."""

    def __init__(self, aws: Aws, name: str, endpoint_url: str | None, read_timeout_s: float) -> None:
        self._aws, self._name, self._endpoint_url = aws, name, endpoint_url
        self._read_timeout_s = read_timeout_s
        self._client: Client | None = None
        self._making = threading.Lock()

    @property
    def client(self) -> Client:
        """The client, made when it is first needed.

        Raises: AwsError.
        """
        if self._client is None:
            with self._making:
                self._client = self._client or self._aws.clients.client(
                    self._name, self._endpoint_url, self._read_timeout_s
                )
        return self._client

    def warm(self) -> None:
        """Start to do what can be done ahead of the first call, in a thread."""

        def connect() -> None:
            with suppress(AwsError):
                self.client.connect()

        self._aws.start(connect)

    def call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        """Call an operation and return its response. `idempotent`: it is safe to retry.

        Raises: AwsError; that of the first try if that may have been done, and the second was throttled.
        """
        try:
            return self.client.send(operation, parameters)
        except AwsError as error:
            if not (error.was_not_done or (idempotent and error.may_have_been_done)):
                raise
            unknown = None if error.was_not_done else error
        time.sleep(_PAUSE_S)
        try:
            return self.client.send(operation, parameters)
        except AwsError as error:
            if unknown and error.code in THROTTLED:
                raise unknown from None
            raise

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()


@cache
def _threads() -> ThreadPoolExecutor:
    """Return a pool of our own: asyncio's has 5 threads on one core, so a slow table would hold up others."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(MAX_CONNECTIONS, "aws")


async def in_thread(call: Callable[..., Result], *arguments: Any) -> Result:
    """Return what a call that blocks returns, made in a thread."""
    work = partial(copy_context().run, call, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)
