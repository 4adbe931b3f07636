"""Calls of AWS: short timeouts, and errors by what a check can say about them. The doctor's only boto3."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
_INVALID = (
    *("InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId"),
    *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
)
_CREDENTIALS = (
    *(exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound),
    *(exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError, exceptions.UnknownCredentialError),
    *(exceptions.SSOError, exceptions.LoginError),
)
# Where the prefix of a service's actions is not boto3's name for it.
_PREFIXES = {"service-quotas": "servicequotas"}
_PERMISSION = re.compile(r"perform: ([\w-]+:\w+)")


class Unknown(Exception):
    """AWS gave no result.

    Unknown
    ├── NoCredentials   there are none, or they have expired, or AWS does not know them
    ├── Denied          the credentials lack a permission
    ├── Unreachable     no connection, or no response in time
    └── Refused         any other error of AWS's; `code` and `text` are its own
    """


class NoCredentials(Unknown):
    """There are none, or they have expired, or AWS does not know them.

    Shape:  `invalid`: AWS does not know them, as in a region that the account has not enabled.
    """

    def __init__(self, text: str, *, invalid: bool = False) -> None:
        super().__init__(text)
        self.invalid = invalid


class Denied(Unknown):
    """The credentials lack a permission; `permission` as in ec2:DescribeVpcs."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"these credentials lack {permission}")
        self.permission = permission


class Unreachable(Unknown):
    """No connection, or no response in time."""


class Refused(Unknown):
    """Any other error of AWS's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Account:
    """An account in one region, as boto3's session reaches it."""

    def __init__(self, session: Any, region: str) -> None:
        self._session, self.region = session, region
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()

    def call(
        self, service: str, operation: str, *, region: str | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """Return the response of one call.

        Raises: Unknown, in one of its kinds.
        """
        with _translated_errors(service, operation):
            response: dict[str, Any] = getattr(self._client(service, region), operation)(**parameters)
        return response

    def items(self, service: str, operation: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the items of all pages of a call.

        Raises: Unknown, in one of its kinds.
        """
        with _translated_errors(service, operation):
            pages = self._client(service, None).get_paginator(operation).paginate(**parameters)
            return [item for page in pages for item in page[key]]

    def stack(self, name: str) -> dict[str, Any] | None:
        """Return a stack as CloudFormation describes it, None where there is none.

        Raises: Unknown, in one of its kinds.
        """
        try:
            stacks = self.call("cloudformation", "describe_stacks", StackName=name)["Stacks"]
        except Refused as error:
            if "does not exist" in error.text:
                return None
            raise
        return stacks[0] if stacks else None

    def _client(self, service: str, region: str | None) -> Any:
        key = service, region or self.region
        with self._making:  # sessions are not safe for threads, clients are
            if key not in self._clients:
                self._clients[key] = self._session.client(service, region_name=key[1], config=_CONFIG)
            return self._clients[key]


def current_session() -> Any:
    """Return boto3's session of this environment, whose region is the one that CDK deploys to.

    Raises: NoCredentials: AWS_PROFILE names a profile that is not there.
    """
    region = os.environ.get("AWS_REGION") or None  # CDK reads it first, boto3 never
    with _translated_errors("sts", "get_caller_identity"):
        return boto3.session.Session(region_name=region)


@contextmanager
def _translated_errors(service: str, operation: str) -> Iterator[None]:
    try:
        yield
    except exceptions.ClientError as error:
        code, text = (str(error.response["Error"].get(field, "")) for field in ("Code", "Message"))
        if code in _DENIED:
            found = _PERMISSION.search(text)
            action = f"{_PREFIXES.get(service, service)}:{error.operation_name}"
            raise Denied(found[1] if found else action) from None
        if code in _EXPIRED:
            raise NoCredentials("the credentials have expired") from None
        if code in _INVALID:
            raise NoCredentials(f"AWS does not accept the credentials ({code})", invalid=True) from None
        raise Refused(code, text or f"{service} {error.operation_name}") from None
    except _CREDENTIALS as error:
        raise NoCredentials(_one_line(error)) from None
    except (exceptions.EndpointConnectionError, exceptions.HTTPClientError) as error:
        raise Unreachable(_one_line(error)) from None
    except (exceptions.BotoCoreError, KeyError) as error:
        raise Refused(type(error).__name__, f"{service} {operation}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
