"""AWS's services by boto3: any service, with the settings of a laptop. The only module that imports it.

boto3 takes longer to import than everything else together, so no function that a caller waits for uses it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .aws import CONNECT_TIMEOUT_S, MAX_CONNECTIONS, AwsError

# At its lowest level it would log what it sends.
logging.getLogger("botocore").setLevel(logging.WARNING)


class Boto:
    """One account in one region, whose clients share what takes time to load.

    Shape:  `longer`: how many times longer than in a function a response is waited for.
    """

    def __init__(self, *, region: str | None = None, longer: float = 1) -> None:
        self._region, self._longer = region, longer
        self._session: Any = None
        self._making = threading.Lock()

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

    def client(self, name: str, endpoint_url: str | None, read_timeout_s: float) -> BotoClient:
        """Return a new client. It blocks; one is made at a time."""
        with self._making, _translated_errors():
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S * self._longer,
                read_timeout=read_timeout_s * self._longer,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=MAX_CONNECTIONS,
                tcp_keepalive=True,
            )
            return BotoClient(self._loaded_session().client(name, endpoint_url=endpoint_url, config=config))

    def _loaded_session(self) -> Any:
        import boto3

        if self._session is None:
            self._session = boto3.session.Session(region_name=self._region, botocore_session=_session())
        return self._session


class BotoClient:
    """A client of boto3's, `boto`, with our errors. Each call is tried once."""

    def __init__(self, boto: Any) -> None:
        self.boto = boto

    def send(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Call an operation and return its response.

        Raises: AwsError.
        """
        with _translated_errors():
            return getattr(self.boto, operation)(**parameters)

    def connect(self) -> None:
        """Do nothing: what takes boto3 its time is its import, and to make a client."""

    def close(self) -> None:
        """Close all connections."""
        self.boto.close()


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
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError, ResponseParserError) as error:
        response = getattr(error, "response", None) or {}
        # Without its cause, whose text may quote the parameters of the call.
        raise AwsError(
            str(response.get("Error", {}).get("Code") or type(error).__name__),
            response,
            unreached=isinstance(error, exceptions.ConnectionError),
            lost=isinstance(error, exceptions.HTTPClientError),
        ) from None
