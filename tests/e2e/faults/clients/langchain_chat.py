"""LangChain's `ChatOpenAI`, which shows no reasoning."""

from importlib.metadata import version
from typing import Any

import openai
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI

from tests.e2e.faults.clients.cases import MESSAGES, NEXT, TOOLS, Outcome, Run, main


def client(url: str, key: str) -> Run:
    """Return what runs one case."""

    async def run(case: dict[str, Any]) -> Outcome:
        model = ChatOpenAI(model=case["fields"]["model"], base_url=url, api_key=key, stream_usage=True).bind(
            tools=TOOLS
        )

        async def stream(messages: list[Any]) -> Any:
            total: Any = None
            async for chunk in model.astream(messages):
                total = chunk if total is None else total + chunk
            return total

        messages: list[Any] = list(MESSAGES)
        if case["mode"] == "history":
            for complete in (model.ainvoke, stream):
                message = await complete(messages)
                messages += [
                    message,
                    *(ToolMessage("done", tool_call_id=call["id"]) for call in message.tool_calls),
                    NEXT,
                ]
        return _outcome(await (stream if case["mode"] == "stream" else model.ainvoke)(messages))

    return run


def _outcome(message: Any) -> Outcome:
    usage = message.usage_metadata
    calls = [[call["name"], call["args"]] for call in (*message.tool_calls, *message.invalid_tool_calls)]
    finish = message.response_metadata.get("finish_reason")
    return {
        "choices": [{"text": message.content, "calls": calls, "finish": finish}],
        "usage": usage and [usage["input_tokens"], usage["output_tokens"]],
    }


if __name__ == "__main__":
    main(version("langchain-openai"), client, (openai.OpenAIError,))
