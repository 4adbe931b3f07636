"""The keys of the role that a function runs as.

Lambda gives them as variables, which hold for the life of an environment; then nothing is loaded. With
SnapStart, which keeps environments longer than keys are valid, and on a laptop, boto3 finds and renews them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from .aws import Aws, AwsError
from .signatures import RoleKeys


class RoleKeysUnavailable(Exception):
    """No keys were found, or they could not be renewed. The text is boto's class of error, for operators."""


class Role:
    """The role of this function.

    Shape:  `environ` is read at each use.
    """

    def __init__(self, environ: Mapping[str, str], aws: Aws) -> None:
        self._environ, self._aws = environ, aws

    @property
    def region(self) -> str:
        """The region in which the function runs; "" where none is set."""
        return self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION", "")

    async def keys(self) -> RoleKeys:
        """Return the keys that are valid now.

        Raises: RoleKeysUnavailable.
        """
        own, secret = (self._environ.get(f"AWS_{name}") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
        if own and secret:
            return RoleKeys(own, secret, self._environ.get("AWS_SESSION_TOKEN"))
        try:
            return RoleKeys(*await asyncio.to_thread(self._aws.keys))
        except AwsError as error:
            raise RoleKeysUnavailable(error.code) from None
