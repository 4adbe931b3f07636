"""What a fault is made of: what is right, and what the engine sends.

`SECRET` is in the texts of engines' errors, and must reach no caller.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.engines import events
from tests.engines.behaviours import Completion, End, Sse
from tests.engines.events import DONE, Source, usage_of
from tests.engines.wire import Behaviour

Json = dict[str, Any]
SECRET = "Write about project Bluebird"
TEXT = "The capital of France is Paris."
WEATHER = ("get_weather", {"city": "Paris"})
TIME = ("get_time", {"zone": "CET"})
MIB = 1024 * 1024


@dataclass(frozen=True)
class Good:
    """A complete reply.

    Shape:  `calls` are (name, arguments); `usage` is (prompt, completion), None where the engine counts none;
            `others`: the choices after the first.
    """

    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, Json]] = ()
    finish: str = "stop"
    usage: tuple[int, int] | None = (37, 8)
    others: "Sequence[Good]" = ()


@dataclass(frozen=True)
class Bad:
    """An error: as a status, or as an event where the stream has begun (`within`).

    Shape:  `code` is OpenAI's. `tries`: how often the gateway may send one request to the engine. `again`: an
            SDK may send it again, as the engine cannot have run it.
    """

    status: int = 502
    code: str = "upstream_error"
    within: bool = False
    tries: int = 1
    again: bool = False


@dataclass(frozen=True)
class Fault:
    """What an engine does with a request for a stream or a whole reply, and what the caller must get.

    Shape:  `fields` are those of the request that are the caller's own.
    """

    right: Good | Bad
    stream: Behaviour | None = None
    whole: Behaviour | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


SAID = Good(TEXT)
CALLED = Good(calls=(WEATHER,), finish="tool_calls")
CALLED_TWICE = replace(CALLED, calls=(WEATHER, TIME))
BROKEN, CUT = Bad(), Bad(within=True)

ROLE = {"role": "assistant", "content": ""}
WORDS = [{"content": word} for word in ("The capital", " of France", " is Paris.")]
STOP = {"delta": {}, "finish_reason": "stop"}
USAGE = {"choices": [], "usage": usage_of(8)}


def both(right: Good | Bad, behaviour: Behaviour) -> Fault:
    """Return a fault that is the same for a stream and a whole reply."""
    return Fault(right, behaviour, behaviour)


def streamed(*given: Any, finish: Any = "stop", **options: Any) -> Sse:
    """Stream the given chunks between a role and a finish reason, usage and [DONE]."""
    return Sse(
        events.chunks(ROLE, *given, {"delta": {}, "finish_reason": finish}, USAGE, DONE),
        **options,
    )


def exactly(*given: Any, end: End = End.COMPLETE) -> Sse:
    """Stream the given chunks alone."""
    return Sse(events.chunks(*given), end)


def staged(stage: Callable[..., Source], *arguments: Any) -> Sse:
    """Stream the text through a stage."""
    return Sse(stage(events.chunks(ROLE, *WORDS, STOP, USAGE, DONE), *arguments))


def message(content: Any = TEXT, finish: Any = "stop", **members: Any) -> Completion:
    """Return a whole reply whose message has these members too."""
    return Completion(finish, content, message=members)


def call(index: int | None = None, **members: Any) -> Json:
    """Return a tool call or a piece of one: name and arguments in its function, the rest beside it."""
    function = {key: members.pop(key) for key in ("name", "arguments") if key in members}
    return {**({} if index is None else {"index": index}), **members, "function": function}


def calling(*calls: Json) -> Json:
    """Return a delta with pieces of tool calls."""
    return {"tool_calls": list(calls)}


def in_calls(*deltas: Json) -> Sse:
    """Stream pieces of tool calls."""
    return streamed(*deltas, finish="tool_calls")


def whole_calls(*calls: Json, content: Any = None) -> Completion:
    """Return a whole reply that calls tools."""
    return message(content, "tool_calls", tool_calls=list(calls))


PARIS, CET = '{"city": "Paris"}', '{"zone": "CET"}'
FIRST: Json = {"id": "a1", "type": "function", "name": "get_weather"}
SECOND: Json = {"id": "a2", "type": "function", "name": "get_time"}
FIRST_WHOLE, SECOND_WHOLE = call(**FIRST, arguments=PARIS), call(**SECOND, arguments=CET)

SOME = (ROLE, *WORDS[:2])
