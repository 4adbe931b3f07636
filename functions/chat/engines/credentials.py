"""What requests to engines bear: a key, or what is made of the function's own role.

key           the engine's key, or a secret that holds it
bedrock       a key for Bedrock in the engine's region, made in this process, and again after 15 minutes
function_url  each request's own signature, for a Function URL that admits AWS's identities only
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from functions.chat.models import Model
from functions.shared.clock import Clock
from functions.shared.frozen import Frozen
from functions.shared.role import Role
from functions.shared.secrets import Secrets
from functions.shared.signatures import bedrock_token, signed_headers

from .engine import Body, joined

# How long a token is used, and how long it is valid: clocks differ, and Lambda may freeze the function.
TOKEN_USED_S, TOKEN_VALID_S = 900.0, 1800
# A token that is rejected sooner than this after it was made would be rejected again.
TOKEN_NEW_S = 60.0
_REGION = re.compile(r"(?<=\.)[a-z]{2}(?:-[a-z]+)+-\d(?=\.)")


class _Token(Frozen):
    text: str = field(repr=False)
    made_at: float


class Credentials:
    """The credentials of all engines.

    Shape:  `secrets` is needed for keys that are secrets, `role` for what is made of the function's role.
    """

    def __init__(
        self,
        secrets: Secrets | None = None,
        role: Role | None = None,
        *,
        clock: Clock | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secrets, self._role = secrets, role
        self._clock, self._now = clock or Clock(), now
        self._tokens: dict[str, _Token] = {}

    async def headers(self, model: Model, method: str, url: str, body: Body = b"") -> dict[str, str]:
        """Return the headers by which a model's engine admits a request.

        Raises: SecretsUnavailable, RoleKeysUnavailable.
        """
        if model.credentials == "function_url":
            return signed_headers(
                await self._of_role().keys(),
                method=method,
                url=url,
                body=joined(body),
                service="lambda",
                region=self._region(model),
                at=self._now(),
            )
        key = model.key
        if model.credentials == "bedrock":
            now = self._clock.elapsed_s()
            token = self._tokens.get(region := self._region(model))
            if token is None or now - token.made_at >= TOKEN_USED_S:
                keys = await self._of_role().keys()
                text = bedrock_token(keys, region=region, at=self._now(), expires_s=TOKEN_VALID_S)
                token = self._tokens[region] = _Token(text, now)
            key = token.text
        elif model.key_secret:
            assert self._secrets, "expected a source of secrets, for an engine whose key is one"
            key = await self._secrets.value(model.key_secret)
        return {"authorization": f"Bearer {key}"} if key else {}

    def reject(
        self, model: Model, status: int, sent: Mapping[str, str]
    ) -> Literal["final", "changed", "renewed"]:
        """Note that an engine answers 401 or 403; return what has become of the credentials.

        Shape:  `sent`: the headers of the request. `changed`: the next request fetches the key again.
                `renewed`: the same request may be sent again at once, with a new token.
        """
        if model.credentials == "bedrock":
            token = self._tokens.get(region := self._region(model))
            if token is None or sent.get("authorization") != f"Bearer {token.text}":
                return "renewed"  # by another request, which was rejected before
            if self._clock.elapsed_s() - token.made_at >= TOKEN_NEW_S:
                del self._tokens[region]
                return "renewed"
        elif status == 401 and self._secrets and model.key_secret:
            self._secrets.expire(model.key_secret)
            return "changed"
        return "final"

    def _of_role(self) -> Role:
        assert self._role, "expected a role, for an engine that admits AWS's identities"
        return self._role

    def _region(self, model: Model) -> str:
        """Return the region that the address names; else, at a local address, the function's own."""
        named = _REGION.search(model.base_url.split("/")[2])
        return named[0] if named else self._of_role().region
