"""OpenAI-compatible engines, over HTTP.

A request is never run twice. It is sent again only where it cannot have run: no connection was made, or TCP
proves that the engine did not get all of it (`ConnectError`); the engine is full (503), or it is a vLLM that
drains (500). Any other failure may have cost the engine its work, and SDKs are kept from repeating it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager, suppress
from typing import Any

from functions.chat.errors import ApiError, EngineUnreachable, UpstreamError, UpstreamTimeout
from functions.chat.json_text import parse
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.shared.role import RoleKeysUnavailable
from functions.shared.secrets import SecretsUnavailable
from functions.shared.version import VERSION

from .connection import ConnectError, ConnectTimeout, ReadError, ReadTimeout, TransportError
from .credentials import Credentials
from .engine import Accepted, EngineRequest, Event, Failure
from .errors import INCOMPLETE
from .refusals import DROPPED, UNREACHABLE, Refusal, judge, not_again
from .transport import EngineTransport, Request, Response

logger = logging.getLogger("chat.backend")

BACKOFF_S = (0.1, 0.4)
DRAIN_S = 0.1
# How long the body of an error may take; its status is known by then.
ERROR_BODY_S = 2.0
_MAX_ERROR_BYTES = 64 * 1024
_MAX_LIST_BYTES = 4 * 1024 * 1024
_BLANK = b"\xef\xbb\xbf \t\r\n"
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "keep-alive",
    "user-agent": f"chat/{VERSION}",
}
_OTHER_KIND = "The engine's reply is of another kind. Its operator has to look at the model's `base_url`."
_CHANGED_KEY = "The engine's key may have changed, and is fetched again. Try again."
_NO_KEYS = "The service's own keys for the engine could not be found. Its operator has to look."


class HttpEngine:
    """OpenAI-compatible servers; connections are kept between invocations.

    Shape:  `credentials`: None where no engine needs any but a key of the settings.
    """

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        self._settings, self._credentials = settings, credentials or Credentials()
        secure = any(model.base_url.startswith("https://") for model in settings.models.values())
        # Reading the certificate store takes 20 ms: only where an engine needs it.
        self._transport = EngineTransport(ssl.create_default_context() if secure else None)

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        """Send a request, and give the events of its reply; leaving the block closes the connection."""
        return aclosing(self._events(request))

    async def models(self, model: Model) -> Any:
        """Return the list of models that the model's engine gives, as parsed JSON; None if it gives none."""
        url = f"{model.base_url}/models"
        request = Request(
            method="GET",
            url=url,
            headers={**_HEADERS, **await self._credentials.headers(model, "GET", url)},
            connect_timeout_s=self._settings.connect_timeout_s,
            read_timeout_s=self._settings.connect_timeout_s,
        )
        body = b""
        with suppress(TransportError), closing(await self._transport.send(request)) as response:
            while len(body) <= _MAX_LIST_BYTES and (data := await response.read()):
                body += data
        with suppress(ValueError, RecursionError):
            return parse(body)
        return None

    async def aclose(self) -> None:
        """Close every connection."""
        self._transport.close()

    async def _events(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        reader = request.reader()
        try:
            with _translated(), closing(await self._send(request)) as response:
                yield Accepted()
                most = self._settings.max_event_bytes
                begun = await _beginning(response, most, stream=request.is_streamed)
                # The first event leaves before those that have come with it are read.
                first, end, rest = begun.partition(b"\n\n")
                events = reader.feed(first + end)
                while not reader.ended:
                    for event in events:
                        yield event
                    data, rest = rest or await response.read(), b""
                    events = reader.feed(data) if data else reader.flush()
                for event in events:
                    if isinstance(event, Failure):
                        not_again(event.error).rename(request.names)
                    yield event
                await _drain(response)
        except ApiError as error:
            error.rename(request.names)
            yield Failure(error)

    async def _send(self, request: EngineRequest) -> Response:
        """Return the engine's reply once it has accepted the request.

        Raises: ApiError, in the caller's terms.
        """
        clock = asyncio.get_running_loop().time
        for pause_s in (*BACKOFF_S, None):
            sent = await self._http_request(request)
            began = clock()
            try:
                response = await self._transport.send(sent)
            except ConnectTimeout:
                raise
            except ConnectError:
                if pause_s is None:
                    raise
            else:
                if response.status == 200:
                    return response
                error, least_s = await self._refusal(response, request, sent.headers, clock() - began)
                if pause_s is None or least_s is None or least_s > pause_s:
                    raise error
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def _refusal(
        self, response: Response, request: EngineRequest, sent: Mapping[str, str], took_s: float
    ) -> tuple[ApiError, float | None]:
        """Read a reply that is not 200, and log it; return the error, and when it may be sent again.

        Shape:  `sent`: the headers of the request.
        Units:  `took_s`: from the request to the head of the reply. The wait: None for never.
        """
        model, status = request.model, response.status
        refusal = judge(model, status, response.headers, await _error_text(response), took_s)
        hint = f"; {refusal.hint}" if refusal.hint else ""
        logger.warning("engine refused: status=%d request=%s%s", status, request.request_id, hint)
        if status in (401, 403):
            match self._credentials.reject(model, status, sent):
                case "renewed":
                    refusal = Refusal(refusal.error, 0)
                case "changed":
                    refusal = Refusal(UpstreamError(_CHANGED_KEY), None)
        return refusal.error, refusal.least_s

    async def _http_request(self, request: EngineRequest) -> Request:
        settings = self._settings
        url = f"{request.model.base_url}/{request.path}"
        headers = {
            **request.headers,
            **_HEADERS,
            **await self._credentials.headers(request.model, "POST", url, request.body),
            "content-type": "application/json",
            "x-request-id": request.request_id,
        }
        return Request(
            method="POST",
            url=url,
            headers=headers,
            connect_timeout_s=settings.connect_timeout_s,
            read_timeout_s=settings.stream_silence_s if request.is_streamed else settings.reply_timeout_s,
            body=request.body,
        )


async def _error_text(response: Response) -> bytes:
    """Read the body of an error, bounded in size and time; what is missing then does not matter."""
    text = b""
    with closing(response), suppress(TimeoutError, TransportError):
        async with asyncio.timeout(ERROR_BODY_S):
            while len(text) <= _MAX_ERROR_BYTES and (piece := await response.read()):
                text += piece
    return text


async def _beginning(response: Response, max_bytes: int, *, stream: bool) -> bytes:
    """Return what a body begins with, once it shows what it is; all of it, if it is JSON.

    Engines label events as JSON, and errors as events, so the headers are not considered. JSON in the place
    of a stream, an error or a whole completion, is returned as the only event of one.
    Raises: UpstreamError if it cannot be a completion.
    """
    begun = b""
    while not begun and (data := await response.read()):
        begun = data.lstrip(_BLANK)
    is_json = begun.startswith((b"{", b"["))
    if begun.startswith(b"<") or (begun and not is_json and not stream):
        raise UpstreamError(_OTHER_KIND, retry=False)
    if stream and not is_json:
        return begun
    pieces, size = [begun], len(begun)
    while data := await response.read():
        pieces.append(data)
        size += len(data)
        if size > max_bytes:
            raise UpstreamError(
                f"The engine sent a whole reply of more than {max_bytes} bytes. Request less, or a stream,"
                " or have the operator of this API raise MAX_EVENT_BYTES.",
                retry=False,
            )
    whole = b"".join(pieces)
    return (
        b"data: " + whole.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\ndata: [DONE]\n\n"
        if stream
        else whole
    )


async def _drain(response: Response) -> None:
    """Read what follows `[DONE]`, usually nothing, so that the connection can be used again."""
    with suppress(TimeoutError, TransportError):
        async with asyncio.timeout(DRAIN_S):
            while await response.read():
                pass


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the transport's failures into ours: the first class that fits."""
    try:
        yield
    except SecretsUnavailable as error:
        raise UpstreamError("The engine's key could not be fetched. Try again shortly.") from error
    except RoleKeysUnavailable as error:
        logger.error("no keys of the function's role: %s", error)
        raise UpstreamError(_NO_KEYS) from error
    except ConnectError as error:
        raise EngineUnreachable(UNREACHABLE) from error
    except ReadTimeout as error:
        raise UpstreamTimeout(
            "The engine was silent for too long. Try again, or request fewer tokens.", retry=False
        ) from error
    except ReadError as error:
        raise UpstreamError(DROPPED, retry=False) from error
    except TransportError as error:
        raise UpstreamError(INCOMPLETE, retry=False) from error
