"""Errors as engines report them, and HTTP that fails."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.engines.behaviours import (
    After,
    Completion,
    Drop,
    End,
    Hang,
    Replay,
    Reset,
    Status,
    llama_error,
    plain_error,
    vllm_error,
)
from tests.engines.events import DONE, dumps, event
from tests.engines.faults.script import BROKEN, CUT, SECRET, SOME, STOP, Bad, Fault, Json, both, exactly
from tests.engines.recordings import recording


def object_error(
    status: int, kind: str | None = "InternalServerError", code: Any = ..., text: str = ""
) -> Json:
    """Return an error in the shape that most engines share; `code` is the status unless given."""
    fault = {"message": f"{text or 'CUDA error'}: {SECRET}", "type": kind, "param": None}
    return {"error": {**fault, "code": status if code is ... else code}}


# The body of each engine's errors, the status with which it is sent, and what is right.
TOO_LONG = Bad(400, "context_length_exceeded")
LIMITED = Bad(429, "rate_limit_exceeded", again=True)
BUSY = Bad(503, "server_is_overloaded", tries=3, again=True)
_TOO_LONG = "This model's maximum context length is 4096 tokens. However, you requested 4097 tokens"
ERRORS: Mapping[str, tuple[int, Any, Bad]] = {
    "vllm": (500, object_error(500), BROKEN),
    "vllm-too-long": (400, object_error(400, "BadRequestError", text=_TOO_LONG), TOO_LONG),
    "vllm-old": (
        400,
        {
            "object": "error",
            "message": f"{_TOO_LONG}: {SECRET}",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        TOO_LONG,
    ),
    "llama.cpp": (500, object_error(500, "server_error", text="Failed to decode"), BROKEN),
    "llama.cpp-too-long": (
        400,
        {
            "error": {
                "code": 400,
                "message": f"the request exceeds the available context size, try increasing it: {SECRET}",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        TOO_LONG,
    ),
    "sglang-too-long": (
        400,
        object_error(
            400,
            "BadRequestError",
            text="The input (8200 tokens) is longer than the model's context length (8192 tokens).",
        ),
        TOO_LONG,
    ),
    "tgi": (
        424,
        {"error": f"Request failed during generation: Server error: {SECRET}", "error_type": "generation"},
        BROKEN,
    ),
    "tgi-busy": (429, {"error": "Model is overloaded", "error_type": "overloaded"}, BUSY),
    "ollama": (500, object_error(500, "api_error", None, "llama runner process has terminated"), BROKEN),
    "ollama-string": (500, {"error": f"an error was encountered while running the model: {SECRET}"}, BROKEN),
    "litellm-limited": (
        429,
        object_error(429, "None", "429", "litellm.RateLimitError: RateLimitError: VLLMException"),
        LIMITED,
    ),
    "openai-limited": (
        429,
        object_error(429, "requests", "rate_limit_exceeded", "Rate limit reached"),
        LIMITED,
    ),
    "openrouter-limited": (
        429,
        {"error": {"message": "Rate limit exceeded", "code": 429, "metadata": {"raw": SECRET}}},
        LIMITED,
    ),
    "vllm-busy": (503, object_error(503, "Service Unavailable", text="The server is overloaded"), BUSY),
}


def reported(name: str, status: int, body: Any, right: Bad) -> dict[str, Fault]:
    """Return the same error as a status, in a 200, as the first event, and as an event within a stream."""
    data = dumps(body)
    sent = Status(status, data.encode())
    in_a_200 = Status(200, data.encode())
    return {
        f"{name}-status": both(right, sent),
        f"{name}-in-200": both(right, in_a_200),
        f"{name}-first-event": Fault(right, exactly(event(data), DONE)),
        f"{name}-event": Fault(replace(right, within=True), exactly(*SOME, event(data), DONE)),
    }


REPORTS = {
    fault_name: fault for name, row in ERRORS.items() for fault_name, fault in reported(name, *row).items()
}
_CUDA = event(dumps(object_error(500)))
EVENTS = {
    "error-after-finish": Fault(CUT, exactly(*SOME, STOP, _CUDA, DONE)),
    "error-in-a-choice": Fault(
        CUT,
        exactly(*SOME, {"delta": {"content": ""}, "finish_reason": "stop", "error": {"code": 502}}, DONE),
        Completion(choice={"error": {"code": 502, "message": SECRET}}),
    ),
    "error-event-named": Fault(CUT, exactly(*SOME, b"event: error\n" + _CUDA, DONE)),
    "error-without-data-prefix": Fault(CUT, exactly(*SOME, b'error: {"message": "CUDA error"}\n\n')),
    "error-as-bare-json": Fault(CUT, exactly(*SOME, dumps(object_error(500)).encode() + b"\n")),
    "error-then-cut": Fault(CUT, exactly(*SOME, _CUDA, end=End.CUT)),
    "vllm-stopped": Fault(CUT, Replay(recording("vllm-0.32.0/stream_cut_by_sigterm"))),
}

_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"
HTTP = {
    # No engine reads this one: the model's address refuses connections.
    "refused": both(Bad(tries=0, again=True), Drop()),
    "dropped": both(BROKEN, Drop()),
    "dropped-after-1.5-s": both(BROKEN, After(1.5, Drop())),
    "reset": both(BROKEN, Reset()),
    "reset-after-work": both(BROKEN, After(0.5, Reset())),
    "hang": both(Bad(504, "timeout"), Hang()),
    "400-unknown-words": both(Bad(400, "invalid_value"), vllm_error(400, SECRET)),
    "400-no-body": both(Bad(400, "invalid_value"), Status(400)),
    "422-fastapi": both(
        Bad(400, "invalid_value"),
        Status(422, dumps({"detail": [{"loc": ["body"], "msg": SECRET, "input": SECRET}]}).encode()),
    ),
    "401-key-of-the-engine": both(Bad(again=True), Status(401, b'{"error":"Unauthorized"}')),
    "404-model": both(Bad(404, "model_not_found"), vllm_error(404, "The model does not exist.")),
    "429-bedrock": both(LIMITED, Status(429, b'{"message":"Too many requests, please wait."}')),
    "429-retry-after": both(LIMITED, vllm_error(429, headers={"retry-after": "1"})),
    "500-llama.cpp": both(BROKEN, llama_error(500, SECRET, "server_error")),
    "502-of-a-proxy": both(BROKEN, Status(502, _GATEWAY, "text/html")),
    "503-plain": both(BUSY, plain_error(503, "upstream connect error")),
    "504-of-a-proxy": both(Bad(504, "timeout"), Status(504, _GATEWAY, "text/html")),
}
