"""Tool calls as engines send them, whole and in pieces."""

from dataclasses import replace

from tests.engines.events import DONE
from tests.engines.faults.script import (
    CALLED,
    CALLED_TWICE,
    CET,
    CUT,
    FIRST,
    FIRST_WHOLE,
    PARIS,
    SECOND,
    SECOND_WHOLE,
    TEXT,
    TIME,
    USAGE,
    WEATHER,
    WORDS,
    Fault,
    call,
    calling,
    exactly,
    in_calls,
    message,
    streamed,
    whole_calls,
)

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
        CALLED,
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
    "required-call": Fault(
        CALLED,
        in_calls(calling(call(0, **FIRST, arguments=PARIS))),
        whole_calls(FIRST_WHOLE),
        fields={"tool_choice": "required"},
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
