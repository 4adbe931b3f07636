"""Replies that break: nothing of them may look complete."""

from tests.engines.behaviours import Completion, End, Raw, Status, html
from tests.engines.events import DONE, event
from tests.engines.faults.script import (
    BROKEN,
    CUT,
    FIRST,
    MIB,
    PARIS,
    ROLE,
    SOME,
    STOP,
    TEXT,
    USAGE,
    WORDS,
    Bad,
    Fault,
    both,
    call,
    calling,
    exactly,
    message,
    streamed,
)

_HALF_EVENT = b'data: {"id":"chatcmpl-1","object":"chat.comple'
BREAKS = {
    "cut-before-the-first-event": Fault(BROKEN, exactly(end=End.CUT), Completion(missing=10_000)),
    "cut-in-the-first-event": Fault(BROKEN, exactly(_HALF_EVENT, end=End.CUT), Completion(missing=40)),
    "cut-after-the-first-event": Fault(CUT, exactly(ROLE, end=End.CUT)),
    "cut-between-events": Fault(CUT, exactly(*SOME, end=End.CUT)),
    "cut-in-an-event": Fault(CUT, exactly(*SOME, _HALF_EVENT, end=End.CUT)),
    "cut-in-arguments": Fault(
        CUT,
        exactly(
            ROLE, calling(call(0, **FIRST, arguments="")), calling(call(0, arguments=PARIS[:9])), end=End.CUT
        ),
    ),
    "cut-after-arguments": Fault(CUT, exactly(ROLE, calling(call(0, **FIRST, arguments=PARIS)), end=End.CUT)),
    "cut-after-finish": Fault(CUT, exactly(*SOME, STOP, end=End.CUT)),
    "cut-after-usage": Fault(CUT, exactly(*SOME, STOP, USAGE, end=End.CUT)),
    "cut-in-done": Fault(CUT, exactly(*SOME, STOP, USAGE, b"data: [DO", end=End.CUT)),
    "cut-in-a-chunk": Fault(CUT, exactly(*SOME, end=End.HALF_CHUNK)),
    "reset-in-a-stream": Fault(CUT, exactly(*SOME, 0.2, {}, end=End.RESET)),
    "hang-in-a-stream": Fault(Bad(504, "timeout", within=True), exactly(*SOME, end=End.HANG)),
    "clean-end-at-once": Fault(BROKEN, exactly(), Completion(keep=0)),
    "clean-end-in-a-stream": Fault(CUT, exactly(*SOME)),
    "clean-end-in-an-event": Fault(CUT, exactly(*SOME, _HALF_EVENT), Completion(keep=200)),
    "clean-end-in-arguments": Fault(
        CUT, exactly(ROLE, calling(call(0, **FIRST, arguments="")), calling(call(0, arguments=PARIS[:9])))
    ),
    "one-choice-of-two-ends": Fault(
        CUT,
        exactly(*SOME, {"choices": [{"index": 1, "delta": ROLE, "finish_reason": None}]}, STOP, USAGE, DONE),
        Completion(
            top={
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
                ]
            }
        ),
        fields={"n": 2},
    ),
    "done-without-finish": Fault(CUT, exactly(*SOME, USAGE, DONE), message(finish=None)),
    "done-at-once": Fault(BROKEN, exactly(DONE), Completion(top={"choices": []})),
    "finish-abort": Fault(CUT, streamed(*WORDS, finish="abort"), message(finish="abort")),
    "finish-error": Fault(CUT, streamed(*WORDS, finish="error"), message(finish="error")),
    "garbage-in-a-stream": Fault(CUT, exactly(*SOME, b"data: <html>\n\n", STOP, DONE)),
    "text-lost-to-a-number": Fault(CUT, exactly(*SOME, {"content": 7}, STOP, DONE), message(7)),
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
        CUT, exactly(*SOME, {"choices": [{"index": 1, "delta": ROLE, "finish_reason": None}]}, STOP, DONE)
    ),
    "not-utf-8": Fault(
        CUT,
        exactly(
            *SOME,
            b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"},"finish_reason":null}]}\n\n',
            STOP,
            USAGE,
            DONE,
        ),
    ),
    "events-for-a-whole-reply": Fault(BROKEN, None, streamed(*WORDS)),
    "required-call-in-words": Fault(CUT, streamed(*WORDS), message(), fields={"tool_choice": "required"}),
    "named-call-in-words": Fault(
        CUT,
        streamed(*WORDS),
        message(),
        fields={"tool_choice": {"type": "function", "function": {"name": "get_time"}}},
    ),
    "html": both(BROKEN, html()),
    "redirect": both(Bad(again=True), Status(307, headers={"location": "/elsewhere"})),
    "not-http": both(BROKEN, Raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "no-content": both(BROKEN, Status(204)),
    "event-of-17-mib": Fault(CUT, exactly(*SOME, {"content": "é" * (MIB * 17 // 2)}, STOP, DONE)),
}
