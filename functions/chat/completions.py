"""Chat completions: which model answers, within which limits, and what counts as a whole answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from functions.chat.api.body import to_json
from functions.chat.api.schema import ChatCompletionRequest
from functions.chat.streams.chat import CompletionStream, State
from functions.chat.streams.chunks import drop_nulls, finish_reason, mend_logprobs, typed
from functions.chat.streams.sse import error_event

from .errors import ApiError, InvalidRequest, ModelNotFound, UpstreamError
from .settings import Model, Settings
from .tally import Tally

DEFAULT_TEMPERATURE = 0.7
INCOMPLETE = "The engine's reply was broken or incomplete. Try again."
DRAIN_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Call:
    """One completion to ask of an engine.

    Shape:  `body` is the request as the engine gets it, JSON.
    Units:  `max_completion` tokens, of all choices together.
    """

    model: Model
    body: bytes
    request_id: str
    n: int
    max_completion: int
    include_usage: bool


class Engine(Protocol):
    """What answers. Both raise ApiError; closing a stream stops the engine's work on it."""

    async def complete(self, call: Call) -> Any: ...

    def stream(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...

    async def aclose(self) -> None: ...


class Completions:
    """Answer chat completion requests with the configured models."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine

    @property
    def models(self) -> list[Model]:
        """The models that are served; the first is `default`."""
        return list(self._settings.models.values())

    def model(self, name: str) -> Model:
        """Return the model that a name stands for.

        Raises: ModelNotFound.
        """
        models = self._settings.models
        if name not in models and name != "default":
            raise ModelNotFound(name[:100])
        return models.get(name) or self.models[0]

    def prepare(self, body: dict[str, Any], request: ChatCompletionRequest, request_id: str) -> Call:
        """Turn a checked request into a call: our defaults and limits, the engine's name for the model.

        Raises: ModelNotFound, InvalidRequest.
        """
        model = self.model(request.model)
        n = request.n or 1
        usage = bool(request.stream_options and request.stream_options.include_usage)
        self._hold_to_limits(request, model, n)
        engine_body = {key: value for key, value in body.items() if value is not None}
        engine_body["model"] = model.served_name
        engine_body.setdefault("temperature", DEFAULT_TEMPERATURE)
        allowed = request.max_completion_tokens or request.max_tokens or model.max_tokens_default
        if request.max_completion_tokens:
            engine_body.pop("max_tokens", None)
        else:
            engine_body["max_tokens"] = allowed
        engine_body.pop("stream_options", None)
        if request.stream:
            engine_body["stream_options"] = {"include_usage": True}
        return Call(
            model=model,
            body=to_json(engine_body),
            request_id=request_id,
            n=n,
            max_completion=n * allowed,
            include_usage=usage,
        )

    async def complete(self, call: Call, tally: Tally) -> dict[str, Any]:
        """Return the whole reply, as the contract shapes it.

        Raises: ApiError; an incomplete reply is UpstreamError.
        """
        reply = await self._engine.complete(call)
        tally.take(reply.get("usage") if isinstance(reply, dict) else None)
        return _reply(reply, call)

    async def stream(self, call: Call, tally: Tally) -> AsyncGenerator[bytes, None]:
        """Yield runs of whole events, and tally what the engine counts.

        Shape:  first b"": the engine has accepted the request. Last: a run that ends with `[DONE]`,
                whether the completion is whole or failed.
        Raises: ApiError before the first event; after it a failure is an event, the last but one.
        """
        stream = CompletionStream(model=call.model.id, n=call.n, include_usage=call.include_usage)
        sent = False
        try:
            async with self._engine.stream(call) as chunks:
                yield b""
                async for chunk in chunks:
                    if run := stream.feed(chunk):
                        tally.take(stream.usage)
                        sent = True
                        yield run
                    if stream.state is not State.OPEN:
                        break
                if run := stream.flush():
                    sent = True
                    yield run
                if stream.failure:
                    raise stream.failure
                await _drain(chunks)
        except ApiError as failure:
            tally.failure = failure
            if not sent:
                raise
            if stream.state is not State.DONE:
                yield error_event(failure)

    def _hold_to_limits(self, request: ChatCompletionRequest, model: Model, n: int) -> None:
        if len(request.messages) > self._settings.max_messages:
            raise InvalidRequest(
                f"Invalid 'messages': array too long. Expected a length of at most "
                f"{self._settings.max_messages}, but got {len(request.messages)} instead.",
                param="messages",
                code="array_above_max_length",
            )
        _at_most("n", n, self._settings.max_n)
        for param in ("max_tokens", "max_completion_tokens"):
            _at_most(param, getattr(request, param) or 0, model.max_tokens_limit)


def _at_most(param: str, value: int, limit: int) -> None:
    if value > limit:
        raise InvalidRequest(
            f"Invalid '{param}': integer above maximum value. "
            f"Expected a value <= {limit}, but got {value} instead.",
            param=param,
            code="integer_above_max_value",
        )


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows `[DONE]`, usually nothing, so that the connection can be used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in chunks:
                pass


def _reply(reply: Any, call: Call) -> dict[str, Any]:
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or len(choices) < call.n:
        raise UpstreamError(INCOMPLETE)
    for place, choice in enumerate(choices):
        _mend_choice(choice, place)
    drop_nulls(reply)
    if isinstance(reply.get("usage"), dict):
        drop_nulls(reply["usage"])
    reply["id"] = typed(reply.get("id"), f"chatcmpl-{call.request_id}")
    reply["created"] = typed(reply.get("created"), int(time.time()))
    return {**reply, "object": "chat.completion", "model": call.model.id}


def _mend_choice(choice: Any, place: int) -> None:
    """Bring one choice to the contract's shape, in place: null where it asks for null, nowhere else."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise UpstreamError(INCOMPLETE)
    choice["finish_reason"] = finish_reason(choice.get("finish_reason"))
    choice.setdefault("index", place)
    choice.setdefault("logprobs", None)
    mend_logprobs(choice)
    drop_nulls(choice, keep=("logprobs",))
    message["role"] = "assistant"
    message.setdefault("content", None)
    message.setdefault("refusal", None)
    drop_nulls(message, keep=("content", "refusal"))
