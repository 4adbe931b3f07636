"""Replies that are odd but complete, but for their tool calls: texts, ends and the framing of events."""

from dataclasses import replace

from tests.engines import events
from tests.engines.behaviours import After, Completion, End
from tests.engines.events import DONE, KEEP_ALIVE, dumps, event, usage_of
from tests.engines.faults.script import (
    CALLED,
    CUT,
    FIRST,
    FIRST_WHOLE,
    MIB,
    PARIS,
    ROLE,
    SAID,
    STOP,
    TEXT,
    USAGE,
    WORDS,
    Fault,
    Good,
    call,
    calling,
    exactly,
    in_calls,
    message,
    staged,
    streamed,
    whole_calls,
)

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
LINES = "one\u2028two\u2029three\u0085four \U0001f600"
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
    "reasoning-between-text": Fault(
        replace(SAID, reasoning="Let me think."),
        streamed(WORDS[0], {"reasoning_content": "Let me"}, WORDS[1], {"reasoning": " think."}, WORDS[2]),
    ),
    "reasoning-only": Fault(
        Good(reasoning="Let me think.", finish="length"),
        streamed({"reasoning_content": "Let me think."}, finish="length"),
        message(None, "length", reasoning_content="Let me think."),
    ),
    "line-separators": Fault(Good(LINES), streamed({"content": LINES}), message(LINES)),
    "event-5-mib": Fault(Good(_BIG), streamed({"content": _BIG}), message(_BIG)),
    "text-in-deltas": Fault(SAID, streamed(*({"text": word["content"]} for word in WORDS))),
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
        fields={"n": 2},
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
        fields={"n": 2},
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
    "data-null": Fault(SAID, staged(events.before_each, b"data: null\n\n")),
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
    "three-bytes-a-write": Fault(Good(LINES), streamed({"content": LINES}, split=3)),
    "whole-reply-for-a-stream": Fault(SAID, message()),
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
