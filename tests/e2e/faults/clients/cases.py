"""What all Python clients of the fault matrix do alike: take cases, run some at once, print each outcome.

stdin   {"url": …, "key": …, "cases": [{"mode": …, "fields": …}, …]}
stdout  {"version": …}, then a line for each case: {"case": its place, "outcome": …}

`fields` are those of the request: the model, and others where the client takes any.
Modes: `stream`; `whole`; `helper`, the client's own for streams; `history`, a conversation to which a whole
and a streamed reply are appended as the client's own objects, and the reply to that.

An outcome has `usage` and `choices`, each with text, calls, finish and, where the client shows it, reasoning;
or what was `raised`: its class, whether it is one of the client's own errors, and what it says.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

AT_ONCE = 16
TIMEOUT_S = 25
NEXT = {"role": "user", "content": "And of Italy?"}
MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Get the {what}",
            "parameters": {"type": "object", "properties": {member: {"type": "string"}}},
        },
    }
    for name, what, member in (("get_weather", "weather", "city"), ("get_time", "time", "zone"))
]

# The same as `/v1/responses` takes them.
FLAT_TOOLS: list[dict[str, Any]] = [{"type": "function", **tool["function"]} for tool in TOOLS]

Outcome = dict[str, Any]
Run = Callable[[dict[str, Any]], Awaitable[Outcome]]


def main(version: str, client: Callable[[str, str], Run], own: tuple[type[BaseException], ...]) -> None:
    """Run the cases of stdin with a client; `own` are its documented errors."""
    job = json.load(sys.stdin)
    asyncio.run(_run_all(client(job["url"], job["key"]), job["cases"], own, version))


async def _run_all(
    run: Run, cases: list[dict[str, Any]], own: tuple[type[BaseException], ...], version: str
) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    print(json.dumps({"version": version}), flush=True)

    async def one(place: int) -> None:
        async with gate:
            try:
                outcome = await asyncio.wait_for(run(cases[place]), TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - whatever a client raises is the outcome
                outcome = raised(error, own)
        print(json.dumps({"case": place, "outcome": outcome}), flush=True)

    await asyncio.gather(*map(one, range(len(cases))))


def said_by_response(response: Any) -> Outcome:
    """Describe a response, as JSON or as a client's object, as the chat completion that it came from."""
    value = response if isinstance(response, dict) else response.model_dump()
    calls, texts = [], {"output_text": "", "reasoning_text": ""}
    for item in value["output"]:
        if item["type"] == "function_call":
            calls.append([item["name"], item["arguments"]])
        for part in item.get("content") or ():
            texts[part["type"]] = texts.get(part["type"], "") + (part.get("text") or part.get("refusal"))
    reason = (value["incomplete_details"] or {}).get("reason")
    words = {None: "tool_calls" if calls else "stop", "max_output_tokens": "length"}
    choice = {
        "text": texts["output_text"],
        "reasoning": texts["reasoning_text"],
        "calls": calls,
        "finish": words.get(reason, reason),
    }
    usage = value["usage"]
    return {"choices": [choice], "usage": usage and [usage["input_tokens"], usage["output_tokens"]]}


def raised(error: BaseException, own: tuple[type[BaseException], ...]) -> Outcome:
    """Describe an error as the client's user sees it; pydantic-ai keeps OpenAI's as the cause."""
    status = getattr(error, "status_code", None)
    codes = (getattr(each, "code", None) for each in (error, error.__cause__))
    code = next((code for code in codes if isinstance(code, str)), None)
    return {
        "raised": type(error).__name__,
        "own": isinstance(error, own),
        "status": status,
        "code": code,
        "message": str(error)[:500],
    }
