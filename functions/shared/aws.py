"""AWS's services: the only module that imports boto3.

boto3 takes longer to import than everything else together. `warm` imports it in a thread, for which a
function waits only when it needs a response. Its clients block, so async callers run them in threads. A call
that got no response is retried once where that is safe.
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
THROTTLED = ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException")


class AwsError(Exception):
    """A service refused a call, or could not be reached. The text is AWS's error code, or boto's error class.

    Shape:  `response` is AWS's response, {} where there was none; it may quote the parameters of the call.
    """

    def __init__(self, code: str, response: dict[str, Any]) -> None:
        super().__init__(code)
        self.code, self.response = code, response


class Aws:
    """One account in one region, whose services share what takes time to load.

    Shape:  `longer`: how many times longer than in a function a response is waited for.
    """

    def __init__(self, *, region: str | None = None, longer: float = 1) -> None:
        self._region, self._longer = region, longer
        self._session: Any = None
        self._making = threading.Lock()
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

    def keys(self) -> tuple[str, str, str | None]:
        """Return the id, the secret and the session's token of the keys that are valid now. It blocks.

        Raises: AwsError, where there are none.
        """
        with self._making, _translated_errors():
            from botocore.exceptions import NoCredentialsError

            if not (credentials := self._loaded_session().get_credentials()):
                raise NoCredentialsError
            frozen = credentials.get_frozen_credentials()
            return frozen.access_key, frozen.secret_key, frozen.token

    def make_client(self, name: str, endpoint_url: str | None, read_timeout_s: float) -> Any:
        """Return a new client of boto3's. It blocks; one is made at a time."""
        with self._making:
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S * self._longer,
                read_timeout=read_timeout_s * self._longer,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=_POOL,
                tcp_keepalive=True,
            )
            return self._loaded_session().client(name, endpoint_url=endpoint_url, config=config)

    def _loaded_session(self) -> Any:
        import boto3

        if self._session is None:
            self._session = boto3.session.Session(region_name=self._region, botocore_session=_session())
        return self._session


class Service:
    """One of AWS's services. Its methods block, except `warm`."""

    def __init__(self, aws: Aws, name: str, endpoint_url: str | None, read_timeout_s: float) -> None:
        self._aws, self._name, self._endpoint_url = aws, name, endpoint_url
        self._read_timeout_s = read_timeout_s
        self._client: Any = None
        self._making = threading.Lock()

    @property
    def client(self) -> Any:
        """Boto3's client, made when it is first needed."""
        if self._client is None:
            with self._making:
                self._client = self._client or self._aws.make_client(
                    self._name, self._endpoint_url, self._read_timeout_s
                )
        return self._client

    def warm(self) -> None:
        """Start to import boto3 and to make the client, in a thread."""

        def make() -> None:
            with suppress(AwsError), _translated_errors():
                _ = self.client

        self._aws.start(make)

    def call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        """Call an operation and return its response. `idempotent`: it is safe to retry.

        Raises: AwsError; that of the first try if that may have been done, and the second was throttled.
        """
        with _translated_errors():
            from botocore import exceptions

            call = getattr(self.client, operation)
            try:
                return call(**parameters)
            except (exceptions.BotoCoreError, exceptions.ClientError) as error:
                not_done = isinstance(error, exceptions.ConnectionError) or _code(error) in THROTTLED
                status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                failed = status >= 500 or isinstance(error, exceptions.HTTPClientError)
                if not (not_done or (idempotent and failed)):
                    raise
                unknown = None if not_done else error
            time.sleep(_PAUSE_S)
            try:
                return call(**parameters)
            except exceptions.ClientError as error:
                if unknown and _code(error) in THROTTLED:
                    raise unknown from None
                raise

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()


def _session() -> Any:
    """Return a session of botocore's whose clients leave DynamoDB's items as they were received.

    They have no binary values, which alone are to be converted; to look for some took most of a query's time.
    """
    from botocore import parsers, session

    json_parser: Any = parsers.PROTOCOL_PARSERS["json"]

    class Parser(json_parser):  # type: ignore[misc]
        def _handle_map(self, shape: Any, value: Any) -> Any:
            return value if shape.value.name == "AttributeValue" else super()._handle_map(shape, value)

    class Parsers(parsers.ResponseParserFactory):  # type: ignore[misc]
        def create_parser(self, protocol_name: str) -> Any:
            parser: Any = super().create_parser(protocol_name)
            return Parser(**self._defaults) if type(parser) is json_parser else parser

    own = session.get_session()
    own.register_component("response_parser_factory", Parsers())
    return own


@contextmanager
def _translated_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        # Without its cause, whose text may quote the parameters of the call.
        raise AwsError(_code(error), _response(error)) from None


def _code(error: Exception) -> str:
    """Return AWS's code for an error, or boto's class where AWS sent no response."""
    return str(_response(error).get("Error", {}).get("Code") or type(error).__name__)


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}
