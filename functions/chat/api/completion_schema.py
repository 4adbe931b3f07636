"""What a completion request may hold: every field of OpenAI's.

Source: openai/openai-openapi 2.3.0, `CreateCompletionRequest`, read 2026-11-26.
"""

from __future__ import annotations

from typing import Any

from functions.chat.api import faults
from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST, check_no_other, leave_out_empty
from functions.chat.api.checks import (
    Array,
    Boolean,
    Integer,
    Object,
    OneKind,
    String,
    StringOr,
    optional,
    required,
)
from functions.shared.frozen import Frozen

TEXT = String(not_empty=True)
# The ids of tokens, which the engine's own tokenizer makes of a text.
TOKENS = Array(Integer(minimum=0, maximum=2**31 - 1))
# No engine is sent as many: MAX_N is checked later.
MAX_PROMPTS = 128
PROMPT = StringOr(
    OneKind(
        {str: Array(TEXT, max_length=MAX_PROMPTS), int: TOKENS, list: Array(TOKENS, max_length=MAX_PROMPTS)},
        "a string, an integer or an array of integers",
    ),
    string=TEXT,
)
_OF_CHAT = CHAT_COMPLETION_REQUEST.members
COMPLETION_REQUEST = Object(
    "CompletionRequest",
    {
        "model": _OF_CHAT["model"],
        "prompt": required(PROMPT, "A text, or ids of its tokens; or several of one of the two."),
        "max_tokens": optional(
            Integer(minimum=0), "The most tokens to generate. 0 or absent: 16.", default=16
        ),
        **{name: _OF_CHAT[name] for name in ("temperature", "top_p")},
        "n": optional(Integer(minimum=1, maximum=128), "How many choices of each prompt.", default=1),
        **{name: _OF_CHAT[name] for name in ("stream", "stream_options", "stop")},
        **{name: _OF_CHAT[name] for name in ("presence_penalty", "frequency_penalty", "logit_bias", "seed")},
        "logprobs": optional(
            Integer(minimum=0, maximum=5),
            "Return the log probability of each token, and of that many of the likeliest ones.",
        ),
        "echo": optional(Boolean(), "Begin each choice with its prompt.", default=False),
        "best_of": optional(Integer(minimum=0, maximum=20), "Only the value of `n`."),
        "suffix": optional(String(), "Not served: 400 unless it is empty."),
        "user": _OF_CHAT["user"],
    },
    "The body of `POST /v1/completions`. A field is sent on if the model's engine reads it.",
)


class CompletionRequest(Frozen, kw_only=True):
    """What the gateway itself reads of a checked request.

    Shape:  `fields` is all that may be sent on. `prompts`: how many; `texts` are these, if they are to be
            echoed; `ids`: how many tokens they are, where they are given as such.
    """

    fields: dict[str, Any]
    model: str
    prompts: int
    texts: list[str] | None
    ids: int
    n: int
    max_tokens: int | None
    logprobs: int | None
    stream: bool
    include_usage: bool


def check(body: dict[str, Any]) -> CompletionRequest:
    """Check a body against the schema, then what its members must be together.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    if body.get("prompt") is None and "messages" in body:
        missing = faults.missing((None, "prompt"))
        missing.message += " This is the endpoint for completions of a text: `messages` are for "
        missing.message += "`/v1/chat/completions`."
        raise missing
    fields = COMPLETION_REQUEST.check(body, None)
    check_no_other(body, COMPLETION_REQUEST.members)
    leave_out_empty(fields)
    prompt, n = fields["prompt"], fields.get("n", 1)
    if fields.pop("suffix", ""):
        raise faults.not_served((None, "suffix"), "A text is completed at its end only. Leave it out.")
    if fields.pop("best_of", n) != n:
        raise faults.invalid((None, "best_of"), f"Expected the value of 'n' ({n}): all choices are returned.")
    is_text = isinstance(prompt, str) or isinstance(prompt[0], str)
    texts = None
    if fields.pop("echo", False):
        if not is_text or "logprobs" in fields:
            other = "'logprobs'" if is_text else "a 'prompt' of token ids"
            expected = f"Expected false together with {other}. Leave one of them out."
            raise faults.invalid((None, "echo"), expected)
        texts = [prompt] if isinstance(prompt, str) else prompt
    several = [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt
    return CompletionRequest(
        fields=fields,
        model=fields["model"],
        prompts=len(several),
        texts=texts,
        ids=0 if is_text else sum(map(len, several)),
        n=n,
        max_tokens=fields.get("max_tokens"),
        logprobs=fields.get("logprobs"),
        stream=fields.get("stream", False),
        include_usage=fields.get("stream_options", {}).get("include_usage", False),
    )
