"""LangChain's `ChatOpenAI`, which shows no reasoning."""

from importlib.metadata import version
from typing import Any

import openai
from langchain_openai import ChatOpenAI

from tests.e2e.faults.clients.cases import MESSAGES, TOOLS, Outcome, Run, main


def client(url: str, key: str) -> Run:
    """Return what runs one case."""

    async def run(case: dict[str, Any]) -> Outcome:
        model = ChatOpenAI(model=case["model"], base_url=url, api_key=key, stream_usage=True).bind(
            tools=TOOLS
        )
        if case["mode"] == "whole":
            return _outcome(await model.ainvoke(MESSAGES))
        total = None
        async for chunk in model.astream(MESSAGES):
            total = chunk if total is None else total + chunk
        return _outcome(total)

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
