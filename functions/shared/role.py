"""The keys of the role that a function runs as.

Lambda gives them as variables, which hold for the life of an environment. With SnapStart, which keeps
environments longer than keys are valid, it gives an address where they are, and they are fetched again before
they end. On a laptop, boto3 finds and renews them.

Source: `ContainerProvider` of botocore 1.44.5, read 2026-11-28.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from urllib.parse import urlsplit

from .aws import AwsError, in_thread
from .boto import Boto
from .https import Server
from .signatures import RoleKeys

# As botocore's: from so long before their end, keys are renewed at each use, for as long as that fails.
_RENEWED_S = 600.0
_TIMEOUT_S = 2.0
_ATTEMPTS, _PAUSE_S = 3, 0.1


class RoleKeysUnavailable(Exception):
    """No keys were found, or they could not be renewed. The text is boto's class of error, for operators."""


class Role:
    """The role of this function.

    Shape:  `environ` is read at each use.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ, self._boto = environ, Boto()
        self._lock = threading.Lock()
        self._fetched: tuple[RoleKeys, float] | None = None

    @property
    def region(self) -> str:
        """The region in which the function runs; "" where none is set."""
        return self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION", "")

    async def keys(self) -> RoleKeys:
        """Return the keys that are valid now.

        Raises: RoleKeysUnavailable.
        """
        if keys := self._of_environment():
            return keys
        return await in_thread(self.current)

    def current(self) -> RoleKeys:
        """Return the keys that are valid now; it may block.

        Raises: RoleKeysUnavailable.
        """
        if keys := self._of_environment():
            return keys
        if url := self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return self._of_container(url)
        try:
            return RoleKeys(*self._boto.keys())
        except AwsError as error:
            raise RoleKeysUnavailable(error.code) from None
        except ImportError:
            raise RoleKeysUnavailable("NoCredentialsError") from None

    def _of_environment(self) -> RoleKeys | None:
        own, secret = (self._environ.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        return RoleKeys(own, secret, self._environ.get("AWS_SESSION_TOKEN")) if own and secret else None

    def _of_container(self, url: str) -> RoleKeys:
        """Return the keys that an address gives, fetched by one caller for all."""
        with self._lock:
            if self._fetched and time.time() < self._fetched[1] - _RENEWED_S:
                return self._fetched[0]
            for attempt in range(_ATTEMPTS):
                with suppress(AwsError, OSError, ValueError, KeyError, TypeError):
                    self._fetched = self._fetch(url)
                    return self._fetched[0]
                time.sleep(_PAUSE_S * attempt)
            if self._fetched and time.time() < self._fetched[1]:
                return self._fetched[0]
        raise RoleKeysUnavailable("CredentialRetrievalError")

    def _fetch(self, url: str) -> tuple[RoleKeys, float]:
        """Return the keys, and when they end."""
        token = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if file := self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            with open(file, encoding="utf-8") as opened:
                token = opened.read()
        parts = urlsplit(url)
        server = Server(url, connect_timeout_s=_TIMEOUT_S, read_timeout_s=_TIMEOUT_S)
        headers = {"host": parts.netloc, "accept": "application/json"}
        if token:
            headers["authorization"] = token.strip()
        with closing(server):
            response = server.send("GET", f"{parts.path or '/'}{parts.query and '?' + parts.query}", headers)
        if response.status != 200:
            raise ValueError
        found = json.loads(response.body)
        ends = datetime.fromisoformat(found["Expiration"])
        return RoleKeys(found["AccessKeyId"], found["SecretAccessKey"], found["Token"]), ends.timestamp()
