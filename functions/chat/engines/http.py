"""OpenAI-compatible engines, over HTTP: this module and the transport are the only ones that know httpx.

Retries happen before the first byte alone, and only where nothing can have been generated: the
connection was refused or reset, the engine is full (503), or it is a vLLM that drains (500).
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress

import httpx

from functions.chat.errors import ApiError, EngineUnreachable, UpstreamError, UpstreamTimeout
from functions.chat.json_text import parse
from functions.chat.settings import Model, Settings
from functions.shared.secrets import Secrets, SecretsUnavailable

from .engine import Accepted, EngineRequest, Event, Failure
from .errors import INCOMPLETE, translate
from .transport import EngineTransport

logger = logging.getLogger("chat.backend")

BACKOFF_S = (0.1, 0.4)
DRAIN_S = 0.1
_DRAINING = b"cannot schedule new futures after shutdown"
_MAX_ERROR_BYTES = 64 * 1024
_LOAD_BALANCER = "awselb/"
_UNREACHABLE = "The engine could not be reached. Try again shortly; if it persists, its operator has to look."


class HttpEngine:
    """OpenAI-compatible servers; connections are kept between invocations.

    Shape:  `secrets` is needed for engines whose key is a secret.
    """

    def __init__(self, settings: Settings, secrets: Secrets | None = None) -> None:
        self._settings, self._secrets = settings, secrets
        secure = any(model.base_url.startswith("https://") for model in settings.models.values())
        # Reading the certificate store takes 20 ms: only where an engine needs it.
        transport = EngineTransport(ssl.create_default_context() if secure else None)
        self._client = httpx.AsyncClient(
            transport=transport, headers={"accept-encoding": "identity"}, trust_env=False
        )

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        """Send a request, and give the events of its reply; leaving the block closes the connection."""
        return aclosing(self._events(request))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _events(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        reader = request.reader()
        try:
            with _translated():
                response = await self._send(request)
                try:
                    yield Accepted()
                    if request.stream:
                        async for data in _stream(response):
                            for event in reader.feed(data):
                                yield event
                            if reader.ended:
                                break
                    else:
                        reader.feed(await response.aread())  # a compressed one is decoded
                    for event in reader.flush():
                        yield event
                    await _drain(response)
                finally:
                    await response.aclose()
        except ApiError as error:
            yield Failure(error)

    async def _send(self, request: EngineRequest) -> httpx.Response:
        """Return the engine's reply once it has accepted the request.

        Raises: ApiError, in the caller's terms.
        """
        sent = self._http_request(request, await self._key(request.model))
        for pause_s in (*BACKOFF_S, None):
            try:
                response = await self._client.send(sent, stream=True)
            except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                if pause_s is None:
                    raise
            else:
                if response.status_code == 200:
                    return await _checked(response, "text/event-stream" if request.stream else "json")
                text = await _error_text(response, request)
                if response.status_code == 401 and self._secrets and request.model.key_secret:
                    self._secrets.expire(request.model.key_secret)  # it may have been rotated
                if pause_s is None or not (response.status_code == 503 or _is_draining(response, text)):
                    raise _failure(response, text, request)
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def _key(self, model: Model) -> str | None:
        if not model.key_secret:
            return model.key
        assert self._secrets, "expected a source of secrets, for an engine whose key is one"
        return await self._secrets.value(model.key_secret)

    def _http_request(self, request: EngineRequest, key: str | None) -> httpx.Request:
        settings = self._settings
        headers = {
            **request.headers,
            "content-type": "application/json",
            "x-request-id": request.request_id,
        }
        if key:
            headers["authorization"] = f"Bearer {key}"
        read_timeout_s = settings.stream_silence_s if request.stream else settings.reply_timeout_s
        return self._client.build_request(
            "POST",
            f"{request.model.base_url}/{request.path}",
            content=request.body,
            headers=headers,
            timeout=httpx.Timeout(read_timeout_s, connect=settings.connect_timeout_s),
        )


async def _checked(response: httpx.Response, kind: str) -> httpx.Response:
    if kind not in response.headers.get("content-type", kind):
        await response.aclose()
        raise UpstreamError("The engine's reply was not of the requested kind. Try again.")
    return response


def _stream(response: httpx.Response) -> httpx.AsyncByteStream:
    """Return the body as the transport gives it: `aiter_raw` would cost each piece two generators more."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


async def _drain(response: httpx.Response) -> None:
    """Read what follows `[DONE]`, usually nothing, so that the connection can be used again."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in _stream(response):
                pass


async def _error_text(response: httpx.Response, request: EngineRequest) -> bytes:
    """Read an error reply, bounded; log its size and status, never its text."""
    text = b""
    async for piece in _stream(response):
        text += piece
        if len(text) > _MAX_ERROR_BYTES:
            break
    await response.aclose()
    logger.warning(
        "engine refused: status=%d bytes=%d request=%s", response.status_code, len(text), request.request_id
    )
    return text


def _failure(response: httpx.Response, text: bytes, request: EngineRequest) -> ApiError:
    """Turn an error reply into ours."""
    status, model = response.status_code, request.model
    from_balancer = response.headers.get("server", "").startswith(_LOAD_BALANCER)
    is_gone = (from_balancer and status in (502, 503, 504)) or _is_draining(response, text)
    if model.ecs_service and is_gone:
        return EngineUnreachable(_UNREACHABLE)
    try:
        body = parse(text)
    except (ValueError, RecursionError):
        body = text.decode("utf-8", "replace")
    return translate(model.id, status, body, retry_after_s(response.headers))


def _is_draining(response: httpx.Response, text: bytes) -> bool:
    return response.status_code == 500 and _DRAINING in text


def retry_after_s(headers: httpx.Headers) -> float:
    """Read how long to wait before the next request: at least 1 ms; 1 s if the engine gives no time."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            return max(float(value) * unit_s, 0.001)
    return 1.0


@contextmanager
def _translated() -> Iterator[None]:
    """Turn httpx's exceptions into ours: the first class that fits."""
    try:
        yield
    except SecretsUnavailable as error:
        raise UpstreamError("The engine's key could not be fetched. Try again shortly.") from error
    except (httpx.ConnectTimeout, httpx.ConnectError) as error:
        raise EngineUnreachable(_UNREACHABLE) from error
    except httpx.TimeoutException as error:
        raise UpstreamTimeout(
            "The engine was silent for too long. Try again, or request fewer tokens."
        ) from error
    except httpx.HTTPError as error:
        raise UpstreamError(INCOMPLETE) from error
