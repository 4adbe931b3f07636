"""pydantic-ai's model of OpenAI's chat completions."""

from importlib.metadata import version
from typing import Any

from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolReturnPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from tests.e2e.faults.clients.cases import MESSAGES, NEXT, TOOLS, Outcome, Run, main

PARAMETERS = ModelRequestParameters(
    function_tools=[
        ToolDefinition(
            name=tool["function"]["name"],
            description=tool["function"]["description"],
            parameters_json_schema=tool["function"]["parameters"],
        )
        for tool in TOOLS
    ]
)


def client(url: str, key: str) -> Run:
    """Return what runs one case."""
    provider = OpenAIProvider(base_url=url, api_key=key)

    async def run(case: dict[str, Any]) -> Outcome:
        model = OpenAIChatModel(case["fields"]["model"], provider=provider)
        messages: list[Any] = [ModelRequest.user_text_prompt(MESSAGES[0]["content"])]
        if case["mode"] == "history":
            for complete in (whole, stream):
                response = await complete(model, messages)
                results = [
                    ToolReturnPart(part.tool_name, "done", tool_call_id=part.tool_call_id)
                    for part in response.parts
                    if part.part_kind == "tool-call"
                ]
                messages += [response, ModelRequest([*results, UserPromptPart(NEXT["content"])])]
        return _outcome(await (stream if case["mode"] == "stream" else whole)(model, messages))

    return run


async def whole(model: OpenAIChatModel, messages: list[Any]) -> ModelResponse:
    """Request a whole reply."""
    return await model_request(model, messages, model_request_parameters=PARAMETERS)


async def stream(model: OpenAIChatModel, messages: list[Any]) -> ModelResponse:
    """Request a streamed reply, and put it together."""
    async with model_request_stream(model, messages, model_request_parameters=PARAMETERS) as parts:
        async for _ in parts:
            pass
    return parts.get()


def _outcome(response: ModelResponse) -> Outcome:
    parts: dict[str, list[Any]] = {"text": [], "thinking": [], "tool-call": []}
    for part in response.parts:
        parts[part.part_kind].append(part)
    finish = response.finish_reason
    return {
        "choices": [
            {
                "text": "".join(part.content for part in parts["text"]),
                "reasoning": "".join(part.content for part in parts["thinking"]),
                "calls": [[part.tool_name, part.args_as_json_str()] for part in parts["tool-call"]],
                "finish": "tool_calls" if finish == "tool_call" else finish,
            }
        ],
        "usage": [response.usage.input_tokens, response.usage.output_tokens],
    }


if __name__ == "__main__":
    main(version("pydantic-ai-slim"), client, (AgentRunError,))
