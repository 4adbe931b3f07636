"""The official `openai` package for Python at `/v1/responses`: streams, whole replies, stream helper."""

from typing import Any

import openai

from tests.e2e.faults.clients.cases import (
    FLAT_TOOLS,
    MESSAGES,
    NEXT,
    Outcome,
    Run,
    main,
    said_by_response,
)


def client(url: str, key: str) -> Run:
    """Return what runs one case."""
    responses: Any = openai.AsyncOpenAI(base_url=url, api_key=key).responses

    async def run(case: dict[str, Any]) -> Outcome:
        fields: dict[str, Any] = {"input": list(MESSAGES), "tools": FLAT_TOOLS, **case["fields"]}
        if case["mode"] == "stream":
            return said_by_response(await _streamed(await responses.create(**fields, stream=True)))
        if case["mode"] == "helper":
            return said_by_response(await _helped(responses, **fields))
        if case["mode"] == "history":
            for response in (responses.create, _helper_of(responses)):
                output = (await response(**fields)).output
                results = [
                    {"type": "function_call_output", "call_id": item.call_id, "output": "done"}
                    for item in output
                    if item.type == "function_call"
                ]
                fields["input"] += [*output, *results, NEXT]
        return said_by_response(await responses.create(**fields))

    return run


async def _streamed(stream: Any) -> Any:
    """Read a stream as its users do: by the events' types."""
    text = ""
    async for event in stream:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type in ("response.completed", "response.incomplete", "response.failed"):
            assert text == event.response.output_text
            return event.response
    return None


def _helper_of(responses: Any) -> Any:
    async def helped(**fields: Any) -> Any:
        return await _helped(responses, **fields)

    return helped


async def _helped(responses: Any, **fields: Any) -> Any:
    """Request a stream with the package's helper, which takes strict tools only."""
    del fields["tools"]
    async with responses.stream(**fields) as stream:
        return await _streamed(stream)  # `get_final_response` knows `response.completed` alone


if __name__ == "__main__":
    main(openai.__version__, client, (openai.OpenAIError,))
