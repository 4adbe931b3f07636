"""The engine that the clients chat with: a model for each scenario, and one for each way to fail."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from struct import pack
from typing import Any

import psutil

from tests.engines.behaviours import ByModel, Chat, Completion, End, Sse, Status, vllm_error
from tests.engines.events import DONE, Piece, chunks, event, first, joined, pieces, tokens, usage_of
from tests.engines.faults.script import (
    ROLE,
    STOP,
    TEXT,
    USAGE,
    WORDS,
    call,
    calling,
    message,
    streamed,
    whole_calls,
)
from tests.engines.wire import Behaviour, Reply, Request

CITY = {"name": "Paris", "country": "France"}
WEATHER, AGENT = "sunny in Paris", "no-such-agent"
WRONG_MODEL = "missing"
VECTORS = [[0.5, -1.25, 3.0], [0.0, 1.0, -0.125]]
# The tools of the programs, and of a client that brings its own.
ARGUMENTS = {
    "get_weather": {"city": "Paris"},
    "exec_command": {"cmd": f"echo {WEATHER}"},
    "multi_agent_v1__close_agent": {"target": AGENT},
}
_ERROR = event('{"error":{"message":"CUDA error","type":"InternalServerError","param":null,"code":500}}')
_SOME = first(tokens(8), 4)


def killed(request: Request) -> Iterator[Piece]:
    """Stream some of a reply, then kill the function that called: its own caller's connection breaks off."""
    yield from _SOME(request)
    yield 0.2
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if request.client_port in (each.laddr.port for each in process.net_connections("inet")):
                process.kill()


# What goes wrong, by the model's name: in any reply, and in streams.
FAILURES: dict[str, Behaviour] = {
    "error": vllm_error(500),
    "broken": Chat(Sse(_SOME, End.CUT), Completion(missing=10)),
}
STREAM_FAILURES: dict[str, Behaviour] = {
    "error-event": Sse(joined(_SOME, pieces(_ERROR, DONE))),
    "unfinished": Sse(_SOME),
    "killed": Sse(killed, End.HANG),
}


def paced(request: Request) -> Iterator[Piece]:
    """Stream the text slowly enough for a client that prints it to print each piece."""
    for piece in chunks(ROLE, *WORDS, STOP, USAGE, DONE)(request):
        yield from (0.1, piece)


async def answer(request: Request, reply: Reply) -> None:
    """Call the tools that are offered, return an object where a schema is given, else answer in words.

    Two texts get the two vectors; a prompt is completed.
    """
    fields: dict[str, Any] = request.fields
    tools = [tool["function"]["name"] for tool in fields.get("tools", ())]
    if "messages" not in fields:
        body = embeddings(fields) if "input" in fields else completion()
        await Status(200, json.dumps({"model": fields["model"], **body}).encode())(request, reply)
    elif tools and fields["messages"][-1]["role"] != "tool":
        # A tool of any other name is how the client has the object returned.
        names = [each for each in tools if each in ARGUMENTS] or tools[:1]
        calls = [
            call(id=f"a{place}", type="function", name=name, arguments=json.dumps(ARGUMENTS.get(name, CITY)))
            for place, name in enumerate(names)
        ]
        deltas = (calling({"index": place, **each}) for place, each in enumerate(calls))
        await Chat(streamed(*deltas, finish="tool_calls"), whole_calls(*calls))(request, reply)
    elif fields.get("response_format", {}).get("type") in ("json_schema", "json_object"):
        text = json.dumps(CITY)
        await Chat(streamed({"content": text}), message(text))(request, reply)
    else:
        await Chat(streamed(*WORDS), message(TEXT))(request, reply)


def embeddings(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the vectors as the request wants them."""
    as_text = fields.get("encoding_format") == "base64"
    packed = [b64encode(pack(f"<{len(each)}f", *each)).decode() for each in VECTORS]
    data = [
        {"object": "embedding", "index": index, "embedding": each}
        for index, each in enumerate(packed if as_text else VECTORS)
    ]
    return {"object": "list", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}}


def completion() -> dict[str, Any]:
    """Return a whole completion of the prompt."""
    choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "choices": [choice],
        "usage": usage_of(8),
    }


ENGINE = ByModel({**FAILURES, **STREAM_FAILURES, "stream": Chat(Sse(paced), message(TEXT))}, answer)
