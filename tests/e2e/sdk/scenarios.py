"""What a user does with the official Python package, printed as JSON: `scenarios.py BASE_URL KEY SCENARIO…`.

`test_sdks.py` runs it under both majors of the package; `scenarios.mjs` does the same in Node. A scenario
returns replies as they came, or what was raised.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import openai

JOKE = [{"role": "user", "content": "Tell me a joke"}]
CITY = {
    "name": "city",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "big": {"type": "boolean"}},
        "required": ["name", "big"],
        "additionalProperties": False,
    },
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class User:
    """Sends requests as users of the package do."""

    def __init__(self, base_url: str, key: str) -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=30)

    def complete(self, retries: int = 0, **fields: Any) -> Any:
        client = self._client.with_options(max_retries=retries)
        return client.chat.completions.create(**{"model": "default", "messages": JOKE, **fields})

    # of any model

    def chat(self) -> Any:
        completion = self.complete(max_tokens=8)
        return {"request_id": completion._request_id, "reply": came(completion)}

    def raw_response(self) -> Any:
        raw = self._client.chat.completions.with_raw_response.create(
            model="default", messages=[{"role": "user", "content": "Hi"}], max_tokens=2
        )
        return {"request_id": raw.headers["x-request-id"], "reply": came(raw.parse())}

    def stream(self) -> Any:
        return [came(chunk) for chunk in self.complete(max_tokens=8, stream=True)]

    def stream_with_usage(self) -> Any:
        options = {"include_usage": True}
        return [came(chunk) for chunk in self.complete(max_tokens=8, stream=True, stream_options=options)]

    def schema(self) -> Any:
        wanted = {"type": "json_schema", "json_schema": CITY}
        return came(self.complete(max_tokens=60, temperature=0, response_format=wanted))

    def two_choices(self) -> Any:
        return came(self.complete(max_tokens=4, n=2))

    def stop(self) -> Any:
        fields: dict[str, Any] = {"max_tokens": 16, "temperature": 0}
        text = self.complete(**fields).choices[0].message.content
        word = text.split()[3]
        return {"text": text, "word": word, "reply": came(self.complete(**fields, stop=[word]))}

    def logprobs(self) -> Any:
        return came(self.complete(max_tokens=3, logprobs=True, top_logprobs=2))

    def seed(self) -> Any:
        """`cache_prompt` is llama.cpp's own: what is known of the prompt already would change the sums."""
        extra = {"cache_prompt": False}
        return [came(self.complete(max_tokens=8, temperature=1, seed=7, extra_body=extra)) for _ in range(2)]

    def text(self) -> Any:
        prompts = ["1, 2, 3, 4, 5,", "A, B, C, D, E,"]
        reply = self._client.completions.create(
            model="default", prompt=prompts, n=2, max_tokens=4, temperature=0, echo=True
        )
        return came(reply)

    def text_stream(self) -> Any:
        stream = self._client.completions.create(
            model="default",
            prompt="Once upon a time",
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        return [came(chunk) for chunk in stream]

    def embeddings(self) -> Any:
        texts = ["Good morning", "Good evening"]
        as_sdk = self._client.embeddings.create(model="default", input=texts)
        as_numbers = self._client.embeddings.create(model="default", input=texts, encoding_format="float")
        return [came(as_sdk), came(as_numbers)]

    def models(self) -> Any:
        listed = [came(model) for model in self._client.models.list()]
        return {"listed": listed, "default": came(self._client.models.retrieve("default"))}

    # of a scripted engine

    def tool(self) -> Any:
        call = self.complete(model="tools", tools=[WEATHER])
        message = call.choices[0].message
        answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "11 degrees"}
        messages = [*JOKE, message, answer]
        return {
            "call": came(call),
            "reply": came(self.complete(model="tools", tools=[WEATHER], messages=messages)),
        }

    def tool_stream(self) -> Any:
        return [came(chunk) for chunk in self.complete(model="tools", tools=[WEATHER], stream=True)]

    def close(self) -> Any:
        stream = self.complete(model="endless", stream=True)
        for _ in range(3):
            next(stream)
        closed_s = time.monotonic()
        stream.close()
        return closed_s

    def retried(self) -> Any:
        return came(self.complete(model="retried", retries=2))

    # what is raised

    def bad_request(self) -> Any:
        return self.complete(temperature=3)

    def bad_stream_request(self) -> Any:
        return list(self.complete(messages=[], stream=True))

    def no_prompt(self) -> Any:
        return self._client.completions.create(model="default", prompt=[])

    def tokens(self) -> Any:
        return self._client.embeddings.create(model="default", input=[[1, 2]])

    def unknown_model(self) -> Any:
        return self.complete(model="gpt-unknown")

    def wrong_key(self) -> Any:
        return self.complete()

    def limited(self) -> Any:
        return self.complete(model="limited")

    def broken(self) -> Any:
        return self.complete(model="broken")

    def busy(self) -> Any:
        return list(self.complete(model="busy", stream=True))

    def error_event(self) -> Any:
        return list(self.complete(model="error-event", stream=True))

    def cut(self) -> Any:
        return list(self.complete(model="cut", stream=True))


def came(value: Any) -> Any:
    """Return a reply's own fields, without those that the package adds."""
    return value.model_dump(mode="json", exclude_unset=True)


def outcome(scenario: Callable[[], Any]) -> Any:
    """Return what a scenario returns or raises."""
    try:
        return scenario()
    except openai.APIError as error:
        return {
            "raised": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "request_id": getattr(error, "request_id", None),
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }


if __name__ == "__main__":
    user = User(*sys.argv[1:3])
    version = openai.__version__
    json.dump(
        {"version": version, **{name: outcome(getattr(user, name)) for name in sys.argv[3:]}}, sys.stdout
    )
