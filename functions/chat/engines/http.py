"""The engines, over HTTP: the only module that knows httpx.

Retries happen before the first byte alone, and only where nothing can have been generated: the
connection was refused or reset, the engine is full (503), or it is a vLLM that drains (500).
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from functions.chat.completions import INCOMPLETE, Call
from functions.chat.engines.errors import translate
from functions.chat.engines.transport import EngineTransport
from functions.chat.errors import ApiError, EngineAsleep, UpstreamError, UpstreamTimeout
from functions.chat.json_text import parse
from functions.chat.settings import Model, Settings
from functions.shared.secrets import Secrets, SecretsUnavailable

logger = logging.getLogger("chat.backend")

BACKOFF_S = (0.1, 0.4)
_DRAINING = b"cannot schedule new futures after shutdown"
_MAX_ERROR_BYTES = 64 * 1024
_LOAD_BALANCER = "awselb/"
_UNREACHABLE = "The engine could not be reached. Try again shortly; if it persists, its operator has to look."


class HttpEngine:
    """Ask OpenAI-compatible servers; connections are kept between invocations.

    Shape:  `secrets`: engines whose key is one need them.
    """

    def __init__(self, settings: Settings, secrets: Secrets | None = None) -> None:
        self._settings, self._secrets = settings, secrets
        secure = any(model.base_url.startswith("https://") for model in settings.models.values())
        # Reading the certificate store takes 20 ms: only where an engine needs it.
        transport = EngineTransport(ssl.create_default_context() if secure else None)
        self._client = httpx.AsyncClient(
            transport=transport, headers={"accept-encoding": "identity"}, trust_env=False
        )

    async def complete(self, call: Call) -> Any:
        """Return the engine's reply, parsed.

        Raises: ApiError, in the caller's terms.
        """
        with _translated():
            response = await self._send(call, self._settings.reply_timeout_s, "json")
            try:
                return _parsed(await response.aread())
            finally:
                await response.aclose()

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a stream that the engine has accepted; leaving the block closes it, which stops the engine.

        Raises: ApiError, on entry or within the block.
        """
        with _translated():
            response = await self._send(call, self._settings.stream_silence_s, "text/event-stream")
            try:
                yield response.aiter_raw()
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _send(self, call: Call, read_timeout_s: float, kind: str) -> httpx.Response:
        request = self._request(call, await self._key(call.model), read_timeout_s)
        for pause_s in (*BACKOFF_S, None):
            try:
                response = await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if pause_s is None:
                    raise
            else:
                if response.status_code == 200:
                    return await _checked(response, kind)
                text = await _error_text(response, call)
                if response.status_code == 401:
                    self._doubt_key(call.model)
                if pause_s is None or not _is_passing(response.status_code, text):
                    if call.model.ecs_service and _is_leaving(response, text):
                        raise EngineAsleep(_UNREACHABLE)
                    raise _failure(response, text, call)
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def _key(self, model: Model) -> str | None:
        if not model.key_secret:
            return model.key
        assert self._secrets, "expected what fetches secrets, for an engine whose key is one"
        return await self._secrets.value(model.key_secret)

    def _doubt_key(self, model: Model) -> None:
        """See to it that the next request fetches the engine's key anew: it may have been rotated."""
        if self._secrets and model.key_secret:
            self._secrets.expire(model.key_secret)

    def _request(self, call: Call, key: str | None, read_timeout_s: float) -> httpx.Request:
        headers = {"content-type": "application/json", "x-request-id": call.request_id}
        if key:
            headers["authorization"] = f"Bearer {key}"
        timeout = httpx.Timeout(read_timeout_s, connect=self._settings.connect_timeout_s)
        return self._client.build_request(
            "POST",
            f"{call.model.base_url}/chat/completions",
            content=call.body,
            headers=headers,
            timeout=timeout,
        )


async def _checked(response: httpx.Response, kind: str) -> httpx.Response:
    if kind not in response.headers.get("content-type", kind):
        await response.aclose()
        raise UpstreamError("The engine's reply was of another kind than asked for. Try again.")
    return response


async def _error_text(response: httpx.Response, call: Call) -> bytes:
    """Read an error reply, bounded; log what kind it is, never what it says."""
    text = b""
    async for chunk in response.aiter_raw():
        text += chunk
        if len(text) > _MAX_ERROR_BYTES:
            break
    await response.aclose()
    logger.warning(
        "engine refused: status=%d bytes=%d request=%s", response.status_code, len(text), call.request_id
    )
    return text


def _failure(response: httpx.Response, text: bytes, call: Call) -> ApiError:
    """Turn an error reply into ours."""
    try:
        body = parse(text)
    except (ValueError, RecursionError):
        body = text.decode("utf-8", "replace")
    return translate(call.model.id, response.status_code, body, retry_after_s(response.headers))


def retry_after_s(headers: httpx.Headers) -> float:
    """Read how long the engine wants to be left alone, at least a thousandth of a second; 1 s if unsaid."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            return max(float(value) * unit_s, 0.001)
    return 1.0


def _is_passing(status: int, text: bytes) -> bool:
    return status == 503 or _is_draining(status, text)


def _is_draining(status: int, text: bytes) -> bool:
    return status == 500 and _DRAINING in text


def _is_leaving(response: httpx.Response, text: bytes) -> bool:
    """Tell whether a load balancer answers for an engine that it cannot reach, or one that goes to rest."""
    status = response.status_code
    from_balancer = response.headers.get("server", "").startswith(_LOAD_BALANCER)
    return (from_balancer and status in (502, 503, 504)) or _is_draining(status, text)


def _parsed(reply: bytes) -> Any:
    try:
        return parse(reply)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(INCOMPLETE) from error


@contextmanager
def _translated() -> Iterator[None]:
    """Turn httpx's exceptions into ours: the first class that fits."""
    try:
        yield
    except SecretsUnavailable as error:
        raise UpstreamError("The engine's key could not be fetched. Try again shortly.") from error
    except httpx.ConnectTimeout as error:
        raise EngineAsleep(_UNREACHABLE) from error
    except httpx.TimeoutException as error:
        raise UpstreamTimeout(
            "The engine was silent for too long. Try again, or ask for fewer tokens."
        ) from error
    except httpx.ConnectError as error:
        raise EngineAsleep(_UNREACHABLE) from error
    except httpx.HTTPError as error:
        raise UpstreamError(INCOMPLETE) from error
