"""What engines do that clients must not suffer from, and what each caller must get: the table `FAULTS`.

Each fault is a model's name, so that one engine does them all (`ENGINE`). It happens to a streamed reply, to
a whole one, or to both. A reply that is odd but complete is right as `Good`, with everything that the engine
sent; a broken one is right as `Bad`, an error that the client can read. `SECRET` is in the texts of engines'
errors, and must reach no caller.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.engines import events
from tests.engines.behaviours import (
    After,
    ByModel,
    Chat,
    Completion,
    Drop,
    End,
    Hang,
    Raw,
    Replay,
    Reset,
    Sse,
    Status,
    html,
    llama_error,
    plain_error,
    vllm_error,
)
from tests.engines.events import DONE, KEEP_ALIVE, Source, dumps, event, usage_of
from tests.engines.recordings import recording
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
    """What an engine does with a request for a stream or a whole reply, and what the caller must get."""

    right: Good | Bad
    stream: Behaviour | None = None
    whole: Behaviour | None = None
    n: int = 1


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

CONTROLS = {
    "ordinary": Fault(SAID, streamed(*WORDS), message()),
    "ordinary-call": Fault(
        CALLED,
        in_calls(
            calling(call(0, **FIRST, arguments="")),
            calling(call(0, arguments=PARIS[:9])),
            calling(call(0, arguments=PARIS[9:])),
        ),
        whole_calls(FIRST_WHOLE),
    ),
    "length": Fault(
        replace(SAID, finish="length"), streamed(*WORDS, finish="length"), message(finish="length")
    ),
    "slow": Fault(
        SAID,
        exactly(1.2, ROLE, *(part for word in WORDS for part in (0.7, word)), STOP, USAGE, DONE),
        After(1.2, message()),
    ),
}

_NULLS = dict.fromkeys(("role", "refusal", "function_call", "tool_calls", "audio", "reasoning_content"))
_BIG = "é" * (MIB * 5 // 2)
_LINES = "one\u2028two\u2029three\u0085four \U0001f600"
TEXTS = {
    "tool-calls-empty": Fault(
        SAID, streamed(*({**word, "tool_calls": []} for word in WORDS)), message(tool_calls=[])
    ),
    "nulls-everywhere": Fault(
        SAID,
        streamed(*({"delta": {**_NULLS, **word}, "logprobs": None, "stop_reason": None} for word in WORDS)),
        Completion(message=_NULLS, top={"service_tier": None, "system_fingerprint": None, "error": None}),
    ),
    "error-null": Fault(
        SAID, staged(events.each, lambda data: data.replace(b"}\n\n", b',"error":null}\n\n'))
    ),
    "role-missing": Fault(SAID, exactly(*WORDS, STOP, USAGE, DONE), Completion(message={"role": None})),
    "role-everywhere": Fault(SAID, streamed(*({"role": "assistant", **word} for word in WORDS))),
    "deltas-empty": Fault(SAID, streamed({}, {"content": ""}, *WORDS, {}, {"content": None})),
    "delta-null-with-finish": Fault(
        SAID, exactly(ROLE, *WORDS, {"delta": None, "finish_reason": "stop"}, USAGE, DONE)
    ),
    "content-parts": Fault(
        SAID,
        streamed(*({"content": [{"type": "text", "text": word["content"]}]} for word in WORDS)),
        message([{"type": "text", "text": word["content"]} for word in WORDS]),
    ),
    "content-an-object": Fault(
        SAID,
        streamed(*({"content": {"type": "text", "text": word["content"]}} for word in WORDS)),
        message({"type": "text", "text": TEXT}),
    ),
    "thinking": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed({"thinking": "Let me think."}, *WORDS),
        message(thinking="Let me think."),
    ),
    "thinking-parts": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me think."}]}]},
            *WORDS,
        ),
        message([{"type": "thinking", "thinking": "Let me think."}, {"type": "text", "text": TEXT}]),
    ),
    "reasoning": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed({"reasoning": "Let me"}, {"reasoning": " think."}, *WORDS),
        message(reasoning="Let me think."),
    ),
    "reasoning-content": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed({"reasoning_content": "Let me"}, {"reasoning_content": " think.", "content": None}, *WORDS),
        message(reasoning_content="Let me think."),
    ),
    "reasoning-in-both": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed({"reasoning": "Let me think.", "reasoning_content": "Let me think."}, *WORDS),
        message(reasoning="Let me think.", reasoning_content="Let me think."),
    ),
    "reasoning-only": Fault(
        Good(reasoning="Let me think.", finish="length"),
        streamed({"reasoning_content": "Let me think."}, finish="length"),
        message(None, "length", reasoning_content="Let me think."),
    ),
    "line-separators": Fault(Good(_LINES), streamed({"content": _LINES}), message(_LINES)),
    "event-5-mib": Fault(Good(_BIG), streamed({"content": _BIG}), message(_BIG)),
    "message-in-a-stream": Fault(
        SAID,
        exactly(
            {"choices": [{"index": 0, "message": {"content": TEXT}, "finish_reason": "stop"}]}, USAGE, DONE
        ),
    ),
    "two-choices": Fault(
        Good(TEXT, others=(Good("No."),)),
        exactly(
            *({"choices": [{"index": at, "delta": ROLE, "finish_reason": None}]} for at in (0, 1)),
            {"choices": [{"index": 1, "delta": {"content": "No."}, "finish_reason": None}]},
            *WORDS,
            {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]},
            STOP,
            USAGE,
            DONE,
        ),
        Completion(
            top={
                "usage": usage_of(8),
                "choices": [
                    {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                    for at, text in ((1, "No."), (0, TEXT))
                ],
            }
        ),
        n=2,
    ),
    "two-choices-in-one-event": Fault(
        Good("Yes.", others=(Good("No."),)),
        exactly(
            {
                "choices": [
                    {"index": at, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
                    for at, text in ((0, "Yes."), (1, "No."))
                ]
            },
            USAGE,
            DONE,
        ),
        n=2,
    ),
}

CALLS = {
    "calls-without-index": Fault(
        CALLED_TWICE,
        in_calls(
            calling(call(**FIRST, arguments="")),
            calling(call(arguments=PARIS)),
            calling(call(**SECOND, arguments="")),
            calling(call(arguments=CET)),
        ),
        whole_calls(FIRST_WHOLE, SECOND_WHOLE),
    ),
    "calls-with-index-null": Fault(
        CALLED,
        in_calls(calling({**call(**FIRST, arguments=""), "index": None}), calling(call(arguments=PARIS))),
        whole_calls({**FIRST_WHOLE, "index": None}),
    ),
    "calls-all-of-index-0": Fault(
        CALLED_TWICE,
        in_calls(calling(call(0, **FIRST, arguments=PARIS)), calling(call(0, **SECOND, arguments=CET))),
    ),
    "calls-from-index-1": Fault(
        CALLED_TWICE,
        in_calls(calling(call(1, **FIRST, arguments=PARIS)), calling(call(2, **SECOND, arguments=CET))),
    ),
    "calls-in-one-event": Fault(
        CALLED_TWICE,
        exactly(
            {
                "delta": {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [call(0, **FIRST, arguments=PARIS), call(1, **SECOND, arguments=CET)],
                },
                "finish_reason": "tool_calls",
            },
            USAGE,
            DONE,
        ),
    ),
    "calls-interleaved": Fault(
        CALLED_TWICE,
        in_calls(
            calling(call(0, **FIRST, arguments="")),
            calling(call(1, **SECOND, arguments="")),
            calling(call(0, arguments=PARIS[:5]), call(1, arguments=CET[:5])),
            calling(call(1, arguments=CET[5:])),
            calling(call(0, arguments=PARIS[5:])),
        ),
    ),
    "arguments-an-object": Fault(
        CALLED,
        in_calls(calling(call(0, **FIRST, arguments=WEATHER[1]))),
        whole_calls(call(**FIRST, arguments=WEATHER[1])),
    ),
    "arguments-null": Fault(
        replace(CALLED, calls=((TIME[0], {}),)),
        in_calls(calling(call(0, **SECOND, arguments=None))),
        whole_calls(call(**SECOND, arguments=None)),
    ),
    "arguments-empty": Fault(
        replace(CALLED, calls=((TIME[0], {}),)),
        in_calls(calling(call(0, **SECOND, arguments=""))),
        whole_calls(call(**SECOND, arguments="")),
    ),
    "arguments-missing": Fault(
        replace(CALLED, calls=((TIME[0], {}),)),
        in_calls(calling(call(0, **SECOND))),
        whole_calls(call(**SECOND)),
    ),
    "call-without-id": Fault(
        CALLED,
        in_calls(
            calling(call(0, type="function", name="get_weather", arguments="")),
            calling(call(0, arguments=PARIS)),
        ),
        whole_calls(call(type="function", name="get_weather", arguments=PARIS)),
    ),
    "call-with-id-empty": Fault(
        CALLED,
        in_calls(
            calling(call(0, **{**FIRST, "id": ""}, arguments="")), calling(call(0, id="", arguments=PARIS))
        ),
        whole_calls({**FIRST_WHOLE, "id": ""}),
    ),
    "call-without-type": Fault(
        CALLED,
        in_calls(
            calling(call(0, id="a1", name="get_weather", arguments="")), calling(call(0, arguments=PARIS))
        ),
        whole_calls(call(id="a1", name="get_weather", arguments=PARIS)),
    ),
    "call-all-in-each-piece": Fault(
        CALLED,
        in_calls(*(calling(call(0, **FIRST, arguments=part)) for part in (PARIS[:5], PARIS[5:9], PARIS[9:]))),
    ),
    "call-name-in-each-piece": Fault(
        CALLED,
        in_calls(
            calling(call(0, **FIRST, arguments="")),
            *(calling(call(0, name="get_weather", arguments=part)) for part in (PARIS[:5], PARIS[5:])),
        ),
    ),
    "call-nulls-in-later-pieces": Fault(
        CALLED,
        in_calls(
            calling(call(0, **FIRST, arguments="")),
            calling(call(0, id=None, type=None, name=None, arguments=PARIS[:5])),
            calling(call(0, id=None, type=None, name=None, arguments=PARIS[5:])),
        ),
    ),
    "call-empties-in-later-pieces": Fault(
        CALLED,
        in_calls(
            calling(call(0, **FIRST, arguments="")),
            calling(call(0, id="", type="", name="", arguments=PARIS)),
        ),
    ),
    # One call, or one without arguments and another? That is not to be guessed.
    "call-name-in-pieces": Fault(
        CUT,
        in_calls(
            calling(call(0, **{**FIRST, "name": "get_"}, arguments="")),
            calling(call(0, name="weather")),
            calling(call(0, arguments=PARIS)),
        ),
    ),
    "calls-not-a-list": Fault(
        CALLED,
        in_calls({"tool_calls": call(0, **FIRST, arguments=PARIS)}),
        message(None, "tool_calls", tool_calls=FIRST_WHOLE),
    ),
    "call-finish-stop": Fault(
        replace(CALLED, finish="stop"),
        streamed(calling(call(0, **FIRST, arguments=PARIS))),
        message(None, tool_calls=[FIRST_WHOLE]),
    ),
    # The whole call again after its pieces: its arguments are not to be doubled.
    "call-repeated": Fault(
        CUT,
        in_calls(
            calling(call(0, **FIRST, arguments=PARIS[:5])),
            calling(call(0, arguments=PARIS[5:])),
            calling(call(0, **FIRST, arguments=PARIS)),
        ),
    ),
    "call-without-function": Fault(
        CALLED,
        in_calls(calling({"index": 0, **FIRST, "arguments": PARIS})),
        message(None, "tool_calls", tool_calls=[{**FIRST, "arguments": PARIS}]),
    ),
    "calls-of-one-id": Fault(
        CALLED_TWICE,
        in_calls(
            calling(call(0, **FIRST, arguments=PARIS)),
            calling(call(1, **{**SECOND, "id": "a1"}, arguments=CET)),
        ),
        whole_calls(FIRST_WHOLE, {**SECOND_WHOLE, "id": "a1"}),
    ),
    "call-after-text": Fault(
        replace(CALLED, text=TEXT),
        in_calls(*WORDS, calling(call(0, **FIRST, arguments="")), calling(call(0, arguments=PARIS))),
        whole_calls(FIRST_WHOLE, content=TEXT),
    ),
    "call-with-content-null": Fault(
        CALLED,
        exactly(
            {"role": "assistant", "content": None},
            {"content": None, **calling(call(0, **FIRST, arguments=PARIS))},
            {"delta": {"content": None}, "finish_reason": "tool_calls"},
            USAGE,
            DONE,
        ),
    ),
    "call-after-reasoning": Fault(
        replace(CALLED, reasoning="Let me look."),
        in_calls({"reasoning_content": "Let me look."}, calling(call(0, **FIRST, arguments=PARIS))),
        message(None, "tool_calls", tool_calls=[FIRST_WHOLE], reasoning_content="Let me look."),
    ),
}

_MEANT = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "STOP": "stop",
}
_USAGE_NULLS = {**usage_of(8), "prompt_tokens_details": {"cached_tokens": None}}
ENDS = {
    **{
        f"finish-{sent}": Fault(
            replace(SAID, finish=meant), streamed(*WORDS, finish=sent), message(finish=sent)
        )
        for sent, meant in _MEANT.items()
    },
    "finish-unknown": Fault(CUT, streamed(*WORDS, finish="shutdown"), message(finish="shutdown")),
    "finish-a-number": Fault(CUT, streamed(*WORDS, finish=0), message(finish=0)),
    "finish-empty-at-the-end": Fault(CUT, streamed(*WORDS, finish=""), message(finish="")),
    "text-after-finish": Fault(CUT, exactly(ROLE, *WORDS[:2], STOP, WORDS[2], USAGE, DONE)),
    "finish-empty-while-running": Fault(
        SAID, streamed(*({"delta": word, "finish_reason": ""} for word in WORDS))
    ),
    "finish-with-text": Fault(
        SAID, exactly(ROLE, *WORDS[:-1], {"delta": WORDS[-1], "finish_reason": "stop"}, USAGE, DONE)
    ),
    "finish-twice": Fault(SAID, exactly(ROLE, *WORDS, STOP, STOP, USAGE, DONE)),
    "events-after-finish": Fault(SAID, exactly(ROLE, *WORDS, STOP, {"content": ""}, {}, USAGE, DONE)),
    "no-done": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE)),
    "done-without-space": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE, b"data:[DONE]\n\n")),
    "done-not-ended": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE, b"data: [DONE]")),
    "done-with-spaces": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE, b"data: [DONE] \n\n")),
    "last-event-not-ended": Fault(
        SAID, exactly(ROLE, *WORDS, STOP, event(dumps({"choices": [], "usage": usage_of(8)}))[:-2])
    ),
    "done-twice": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE, DONE, DONE)),
    "cut-after-done": Fault(SAID, exactly(ROLE, *WORDS, STOP, USAGE, DONE, end=End.CUT)),
    "usage-with-choices-null": Fault(
        SAID, exactly(ROLE, *WORDS, STOP, {"choices": None, "usage": usage_of(8)}, DONE)
    ),
    "usage-on-every-event": Fault(
        SAID,
        exactly(
            *(
                {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": usage_of(count)}
                for count, delta in enumerate([ROLE, *WORDS])
            ),
            {"choices": [{"index": 0, **STOP}], "usage": usage_of(8)},
            DONE,
        ),
    ),
    "usage-null": Fault(
        replace(SAID, usage=None),
        staged(
            events.each,
            lambda data: data.replace(
                b'"usage":{"prompt_tokens":37,"total_tokens":45,"completion_tokens":8}', b'"usage":null'
            ),
        ),
        Completion(top={"usage": None}),
    ),
    "usage-with-nulls-within": Fault(
        SAID,
        exactly(ROLE, *WORDS, STOP, {"choices": [], "usage": _USAGE_NULLS}, DONE),
        Completion(top={"usage": _USAGE_NULLS}),
    ),
    "usage-missing": Fault(
        replace(SAID, usage=None), exactly(ROLE, *WORDS, STOP, DONE), Completion(without=("usage",))
    ),
}

FRAMES = {
    "ping-events": Fault(SAID, staged(events.before_each, b"event: ping\ndata: {}\n\n")),
    "ping-with-a-type": Fault(SAID, staged(events.before_each, b'data: {"type": "ping"}\n\n')),
    "ping-without-data": Fault(SAID, staged(events.before_each, b"event: ping\n\n")),
    "data-empty-object": Fault(SAID, staged(events.before_each, b"data: {}\n\n")),
    "data-empty": Fault(SAID, staged(events.before_each, b"data: \n\n")),
    "comments": Fault(SAID, staged(events.before_each, KEEP_ALIVE)),
    "comment-lines-within": Fault(SAID, staged(events.before_each, b": processing\n")),
    "event-lines": Fault(SAID, staged(events.before_each, b"event: message\n")),
    "id-and-retry-lines": Fault(SAID, staged(events.before_each, b"id: 7\nretry: 3000\n")),
    "cr": Fault(SAID, staged(events.each, lambda data: data.replace(b"\n", b"\r"))),
    "crlf": Fault(SAID, staged(events.crlf)),
    "no-space": Fault(SAID, staged(events.no_space)),
    "two-data-lines": Fault(SAID, staged(events.multi_line)),
    "byte-order-mark": Fault(SAID, staged(events.bom)),
    "all-in-one-write": Fault(SAID, staged(events.batches, 100)),
    "three-bytes-a-write": Fault(Good(_LINES), streamed({"content": _LINES}, split=3)),
    "content-type-json": Fault(SAID, streamed(*WORDS, content_type="application/json")),
    "content-type-plain": Fault(SAID, streamed(*WORDS, content_type="text/plain")),
    "choices-empty-first": Fault(
        SAID, exactly({"choices": [], "prompt_filter_results": []}, ROLE, *WORDS, STOP, USAGE, DONE)
    ),
    "identity-changes": Fault(
        SAID,
        exactly(
            *(
                {
                    "id": f"x{at}",
                    "created": at,
                    "model": f"m{at}",
                    "choices": [{"index": 0, "delta": word, "finish_reason": None}],
                }
                for at, word in enumerate(WORDS)
            ),
            STOP,
            USAGE,
            DONE,
        ),
        Completion(top={"id": "", "created": None, "model": "other", "object": "text"}),
    ),
    "identity-missing": Fault(
        SAID,
        streamed(
            *(
                {
                    "id": None,
                    "object": None,
                    "created": None,
                    "model": None,
                    "choices": [{"index": 0, "delta": word, "finish_reason": None}],
                }
                for word in WORDS
            )
        ),
        Completion(without=("id", "object", "created", "model")),
    ),
    "choice-without-index": Fault(
        SAID,
        exactly(*({"choices": [{"delta": word}]} for word in WORDS), {"choices": [STOP]}, USAGE, DONE),
        Completion(top={"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}),
    ),
}

_SOME = (ROLE, *WORDS[:2])
_HALF_EVENT = b'data: {"id":"chatcmpl-1","object":"chat.comple'
BREAKS = {
    "cut-before-the-first-event": Fault(BROKEN, exactly(end=End.CUT), Completion(missing=10_000)),
    "cut-in-the-first-event": Fault(BROKEN, exactly(_HALF_EVENT, end=End.CUT), Completion(missing=40)),
    "cut-after-the-first-event": Fault(CUT, exactly(ROLE, end=End.CUT)),
    "cut-between-events": Fault(CUT, exactly(*_SOME, end=End.CUT)),
    "cut-in-an-event": Fault(CUT, exactly(*_SOME, _HALF_EVENT, end=End.CUT)),
    "cut-in-arguments": Fault(
        CUT,
        exactly(
            ROLE, calling(call(0, **FIRST, arguments="")), calling(call(0, arguments=PARIS[:9])), end=End.CUT
        ),
    ),
    "cut-after-arguments": Fault(CUT, exactly(ROLE, calling(call(0, **FIRST, arguments=PARIS)), end=End.CUT)),
    "cut-after-finish": Fault(CUT, exactly(*_SOME, STOP, end=End.CUT)),
    "cut-after-usage": Fault(CUT, exactly(*_SOME, STOP, USAGE, end=End.CUT)),
    "cut-in-done": Fault(CUT, exactly(*_SOME, STOP, USAGE, b"data: [DO", end=End.CUT)),
    "cut-in-a-chunk": Fault(CUT, exactly(*_SOME, end=End.HALF_CHUNK)),
    "reset-in-a-stream": Fault(CUT, exactly(*_SOME, 0.2, {}, end=End.RESET)),
    "hang-in-a-stream": Fault(Bad(504, "timeout", within=True), exactly(*_SOME, end=End.HANG)),
    "clean-end-at-once": Fault(BROKEN, exactly(), Completion(keep=0)),
    "clean-end-in-a-stream": Fault(CUT, exactly(*_SOME)),
    "clean-end-in-an-event": Fault(CUT, exactly(*_SOME, _HALF_EVENT), Completion(keep=200)),
    "clean-end-in-arguments": Fault(
        CUT, exactly(ROLE, calling(call(0, **FIRST, arguments="")), calling(call(0, arguments=PARIS[:9])))
    ),
    "one-choice-of-two-ends": Fault(
        CUT,
        exactly(*_SOME, {"choices": [{"index": 1, "delta": ROLE, "finish_reason": None}]}, STOP, USAGE, DONE),
        Completion(
            top={
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
                ]
            }
        ),
        n=2,
    ),
    "done-without-finish": Fault(CUT, exactly(*_SOME, USAGE, DONE), message(finish=None)),
    "done-at-once": Fault(BROKEN, exactly(DONE), Completion(top={"choices": []})),
    "finish-abort": Fault(CUT, streamed(*WORDS, finish="abort"), message(finish="abort")),
    "finish-error": Fault(CUT, streamed(*WORDS, finish="error"), message(finish="error")),
    "garbage-in-a-stream": Fault(CUT, exactly(*_SOME, b"data: <html>\n\n", STOP, DONE)),
    "text-lost-to-a-number": Fault(CUT, exactly(*_SOME, {"content": 7}, STOP, DONE), message(7)),
    "no-json": Fault(
        BROKEN, exactly(b"data: Internal Server Error\n\n"), Status(200, b"Internal Server Error")
    ),
    "json-but-no-completion": Fault(BROKEN, exactly(event('["no"]')), Status(200, b'{"ok":true}')),
    "message-missing": Fault(
        BROKEN, None, Completion(top={"choices": [{"index": 0, "finish_reason": "stop"}]})
    ),
    "content-of-unknown-parts": Fault(
        CUT,
        streamed({"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}),
        message([{"type": "image_url"}]),
    ),
    "text-of-a-completion": Fault(
        BROKEN,
        exactly({"choices": [{"index": 0, "text": TEXT, "finish_reason": "stop"}]}, USAGE, DONE),
        Completion(top={"choices": [{"index": 0, "text": TEXT, "finish_reason": "stop"}]}),
    ),
    "choices-an-object": Fault(
        BROKEN, exactly({"choices": {"delta": ROLE}}, DONE), Completion(top={"choices": {}})
    ),
    "a-choice-too-many": Fault(
        CUT, exactly(*_SOME, {"choices": [{"index": 1, "delta": ROLE, "finish_reason": None}]}, STOP, DONE)
    ),
    "not-utf-8": Fault(
        CUT,
        exactly(
            *_SOME,
            b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"},"finish_reason":null}]}\n\n',
            STOP,
            USAGE,
            DONE,
        ),
    ),
    "html": both(BROKEN, html()),
    "redirect": both(Bad(again=True), Status(307, headers={"location": "/elsewhere"})),
    "not-http": both(BROKEN, Raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "no-content": both(BROKEN, Status(204)),
    "event-of-17-mib": Fault(CUT, exactly(*_SOME, {"content": "é" * (MIB * 17 // 2)}, STOP, DONE)),
}


def object_error(
    status: int, kind: str | None = "InternalServerError", code: Any = ..., text: str = ""
) -> Json:
    """Return an error in the shape that most engines share; `code` is the status unless given."""
    fault = {"message": f"{text or 'CUDA error'}: {SECRET}", "type": kind, "param": None}
    return {"error": {**fault, "code": status if code is ... else code}}


# The body of each engine's errors, the status with which it is sent, and what is right.
TOO_LONG = Bad(400, "context_length_exceeded")
LIMITED = Bad(429, "rate_limit_exceeded", again=True)
BUSY = Bad(503, "server_is_overloaded", tries=3, again=True)
_TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 4097 tokens"
ERRORS: Mapping[str, tuple[int, Any, Bad]] = {
    "vllm": (500, object_error(500), BROKEN),
    "vllm-too-long": (400, object_error(400, "BadRequestError", text=_TOO_LONG), TOO_LONG),
    "vllm-old": (
        400,
        {
            "object": "error",
            "message": f"{_TOO_LONG}: {SECRET}",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        TOO_LONG,
    ),
    "llama.cpp": (500, object_error(500, "server_error", text="Failed to decode"), BROKEN),
    "llama.cpp-too-long": (
        400,
        {
            "error": {
                "code": 400,
                "message": f"the request exceeds the available context size, try increasing it: {SECRET}",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        TOO_LONG,
    ),
    "sglang-too-long": (
        400,
        object_error(
            400,
            "BadRequestError",
            text="The input (8200 tokens) is longer than the model's context length (8192 tokens).",
        ),
        TOO_LONG,
    ),
    "tgi": (
        424,
        {"error": f"Request failed during generation: Server error: {SECRET}", "error_type": "generation"},
        BROKEN,
    ),
    "tgi-busy": (429, {"error": "Model is overloaded", "error_type": "overloaded"}, BUSY),
    "ollama": (500, object_error(500, "api_error", None, "llama runner process has terminated"), BROKEN),
    "ollama-string": (500, {"error": f"an error was encountered while running the model: {SECRET}"}, BROKEN),
    "litellm-limited": (
        429,
        object_error(429, "None", "429", "litellm.RateLimitError: RateLimitError: VLLMException"),
        LIMITED,
    ),
    "openai-limited": (
        429,
        object_error(429, "requests", "rate_limit_exceeded", "Rate limit reached"),
        LIMITED,
    ),
    "openrouter-limited": (
        429,
        {"error": {"message": "Rate limit exceeded", "code": 429, "metadata": {"raw": SECRET}}},
        LIMITED,
    ),
    "vllm-busy": (503, object_error(503, "Service Unavailable", text="The server is overloaded"), BUSY),
}


def reported(name: str, status: int, body: Any, right: Bad) -> dict[str, Fault]:
    """Return the same error as a status, in a 200, as the first event, and as an event within a stream."""
    data = dumps(body)
    sent = Status(status, data.encode())
    in_a_200 = Status(200, data.encode())
    return {
        f"{name}-status": both(right, sent),
        f"{name}-in-200": both(right, in_a_200),
        f"{name}-first-event": Fault(right, exactly(event(data), DONE)),
        f"{name}-event": Fault(replace(right, within=True), exactly(*_SOME, event(data), DONE)),
    }


REPORTS = {
    fault_name: fault for name, row in ERRORS.items() for fault_name, fault in reported(name, *row).items()
}
_CUDA = event(dumps(object_error(500)))
EVENTS = {
    "error-after-finish": Fault(CUT, exactly(*_SOME, STOP, _CUDA, DONE)),
    "error-in-a-choice": Fault(
        CUT,
        exactly(*_SOME, {"delta": {"content": ""}, "finish_reason": "stop", "error": {"code": 502}}, DONE),
        Completion(choice={"error": {"code": 502, "message": SECRET}}),
    ),
    "error-event-named": Fault(CUT, exactly(*_SOME, b"event: error\n" + _CUDA, DONE)),
    "error-without-data-prefix": Fault(CUT, exactly(*_SOME, b'error: {"message": "CUDA error"}\n\n')),
    "error-as-bare-json": Fault(CUT, exactly(*_SOME, dumps(object_error(500)).encode() + b"\n")),
    "error-then-cut": Fault(CUT, exactly(*_SOME, _CUDA, end=End.CUT)),
    "vllm-stopped": Fault(CUT, Replay(recording("vllm-0.32.0/stream_cut_by_sigterm"))),
}

_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"
HTTP = {
    # No engine reads this one: the model's address refuses connections.
    "refused": both(Bad(tries=0, again=True), Drop()),
    "dropped": both(BROKEN, Drop()),
    "dropped-after-1.5-s": both(BROKEN, After(1.5, Drop())),
    "reset": both(BROKEN, Reset()),
    "reset-after-work": both(BROKEN, After(0.5, Reset())),
    "hang": both(Bad(504, "timeout"), Hang()),
    "400-unknown-words": both(Bad(400, "invalid_value"), vllm_error(400, SECRET)),
    "400-no-body": both(Bad(400, "invalid_value"), Status(400)),
    "422-fastapi": both(
        Bad(400, "invalid_value"),
        Status(422, dumps({"detail": [{"loc": ["body"], "msg": SECRET, "input": SECRET}]}).encode()),
    ),
    "404-model": both(Bad(404, "model_not_found"), vllm_error(404, "The model does not exist.")),
    "429-bedrock": both(LIMITED, Status(429, b'{"message":"Too many requests, please wait."}')),
    "429-retry-after": both(LIMITED, vllm_error(429, headers={"retry-after": "1"})),
    "500-llama.cpp": both(BROKEN, llama_error(500, SECRET, "server_error")),
    "502-of-a-proxy": both(BROKEN, Status(502, _GATEWAY, "text/html")),
    "503-plain": both(BUSY, plain_error(503, "upstream connect error")),
    "504-of-a-proxy": both(Bad(504, "timeout"), Status(504, _GATEWAY, "text/html")),
}

FAULTS: Mapping[str, Fault] = {
    **CONTROLS,
    **TEXTS,
    **CALLS,
    **ENDS,
    **FRAMES,
    **BREAKS,
    **REPORTS,
    **EVENTS,
    **HTTP,
}


def _behaviour(fault: Fault) -> Chat:
    """An engine gets a request that it has no script for only where a gateway changed `stream`."""
    missing = vllm_error(418)
    return Chat(fault.stream or missing, fault.whole or missing)


ENGINE = ByModel({name: _behaviour(fault) for name, fault in FAULTS.items()})
