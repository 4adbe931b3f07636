"""The official `openai` package for Python, in either major: its streams, whole replies and stream helper."""

from typing import Any

import openai

from tests.e2e.faults.clients.cases import MESSAGES, NEXT, TOOLS, Outcome, Run, main


def client(url: str, key: str) -> Run:
    """Return what runs one case."""
    completions: Any = openai.AsyncOpenAI(base_url=url, api_key=key).chat.completions

    async def run(case: dict[str, Any]) -> Outcome:
        fields: dict[str, Any] = {"messages": list(MESSAGES), "tools": TOOLS, **case["fields"]}
        if case["mode"] == "stream":
            options = {"include_usage": True}
            return await _streamed(await completions.create(**fields, stream=True, stream_options=options))
        if case["mode"] == "helper":
            return _whole(await _helped(completions, **fields))
        if case["mode"] == "history":
            for complete in (_parsed, _helped):
                message = (await complete(completions, **fields)).choices[0].message
                ids = [call.id for call in message.tool_calls or ()]
                results = [{"role": "tool", "tool_call_id": each, "content": "done"} for each in ids]
                fields["messages"] += [message, *results, NEXT]
        return _whole(await completions.create(**fields))

    return run


async def _parsed(completions: Any, **fields: Any) -> Any:
    """Request a whole reply with the package's helper, which takes strict tools only."""
    del fields["tools"]
    try:
        return await completions.parse(**fields)
    except openai.LengthFinishReasonError as error:  # by design
        return error.completion


async def _helped(completions: Any, **fields: Any) -> Any:
    """Request a stream with the package's helper, which in 2.x takes strict tools only."""
    if openai.__version__.startswith("2."):
        del fields["tools"]
    async with completions.stream(**fields, stream_options={"include_usage": True}) as stream:
        async for _ in stream:
            pass
    # `get_final_completion` raises by design where the reason is "length".
    return stream.current_completion_snapshot


def _whole(reply: Any) -> Outcome:
    return {
        "choices": [
            _choice(choice.message, choice.finish_reason, _calls(choice.message.tool_calls or ()))
            for choice in sorted(reply.choices, key=lambda each: each.index)
        ],
        "usage": _usage(reply.usage),
    }


def _calls(calls: Any) -> list[list[str]]:
    return [[call.function.name, call.function.arguments] for call in calls]


def _choice(said: Any, finish: str | None, calls: list[list[str]]) -> Outcome:
    return {"text": said.content or "", "reasoning": _reasoning(said), "calls": calls, "finish": finish}


def _reasoning(said: Any) -> str:
    """Return the reasoning: both names must hold the same, where there are both."""
    names = [getattr(said, name, None) or "" for name in ("reasoning_content", "reasoning")]
    if names[0] != names[1]:
        return f"reasoning_content {names[0]!r}, but reasoning {names[1]!r}"
    return names[0]


async def _streamed(stream: Any) -> Outcome:
    """Put a stream together as its readers do: every delta's text, calls by index."""
    choices: dict[int, Outcome] = {}
    usage = None
    async for chunk in stream:
        usage = chunk.usage or usage
        for part in chunk.choices:
            empty: Outcome = {"text": "", "reasoning": "", "calls": {}, "finish": None}
            choice = choices.setdefault(part.index, empty)
            choice["text"] += part.delta.content or ""
            choice["reasoning"] += _reasoning(part.delta)
            choice["finish"] = part.finish_reason or choice["finish"]
            for piece in part.delta.tool_calls or ():
                call = choice["calls"].setdefault(piece.index, ["", ""])
                call[0] += piece.function.name or ""
                call[1] += piece.function.arguments or ""
    return {
        "choices": [
            {**choice, "calls": list(choice["calls"].values())} for _, choice in sorted(choices.items())
        ],
        "usage": _usage(usage),
    }


def _usage(usage: Any) -> list[int] | None:
    return usage and [usage.prompt_tokens, usage.completion_tokens]


if __name__ == "__main__":
    main(openai.__version__, client, (openai.OpenAIError,))
