"""The engine that the clients chat with: a model for each scenario, and one for each way to fail."""

import json
from typing import Any

from tests.engines.behaviours import ByModel, Chat, Completion, End, Sse, vllm_error
from tests.engines.events import DONE, event, first, joined, pieces, tokens
from tests.engines.faults.script import FIRST, TEXT, WORDS, call, calling, message, streamed, whole_calls
from tests.engines.wire import Behaviour, Reply, Request

CITY = {"name": "Paris", "country": "France"}
WEATHER = "sunny in Paris"
_ERROR = event('{"error":{"message":"CUDA error","type":"InternalServerError","param":null,"code":500}}')
_SOME = first(tokens(8), 4)
# What goes wrong, by the model's name: in any reply, and in streams.
FAILURES: dict[str, Behaviour] = {
    "error": vllm_error(500),
    "broken": Chat(Sse(_SOME, End.CUT), Completion(missing=10)),
}
STREAM_FAILURES: dict[str, Behaviour] = {
    "error-event": Sse(joined(_SOME, pieces(_ERROR, DONE))),
    "unfinished": Sse(_SOME),
}


async def answer(request: Request, reply: Reply) -> None:
    """Call a tool that is offered, return an object where a schema is given, else answer in words."""
    fields: dict[str, Any] = request.fields
    tools = [tool["function"]["name"] for tool in fields.get("tools", ())]
    if tools and fields["messages"][-1]["role"] != "tool":
        # A tool of any other name is how the client has the object returned.
        name = "get_weather" if "get_weather" in tools else tools[0]
        arguments = {"city": "Paris"} if name == "get_weather" else CITY
        called = call(**{**FIRST, "name": name}, arguments=json.dumps(arguments))
        stream = streamed(calling({"index": 0, **called}), finish="tool_calls")
        await Chat(stream, whole_calls(called))(request, reply)
    elif fields.get("response_format", {}).get("type") in ("json_schema", "json_object"):
        text = json.dumps(CITY)
        await Chat(streamed({"content": text}), message(text))(request, reply)
    else:
        await Chat(streamed(*WORDS), message(TEXT))(request, reply)


ENGINE = ByModel({**FAILURES, **STREAM_FAILURES}, answer)
