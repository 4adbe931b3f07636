"""What vLLM is told.

No prompt is logged: vLLM logs none unless asked to. The key is not here: it comes as VLLM_API_KEY, for a
command can be read by whoever may describe a task.
"""

from __future__ import annotations

import json

from infra.inference.fit import check
from infra.inference.timeouts import SHUTDOWN_S
from infra.stages import Engine

PORT = 8000
# Less than any proxy's patience.
KEEP_ALIVE_S = 15
# A share of the task's memory for weights on their way: the reader itself would take 40 GB, and be killed.
_BUFFER_SHARE = 4
_GIB = 1024**3


def vllm_arguments(engine: Engine, *, model_path: str) -> list[str]:
    """Return what follows `vllm serve`.

    Shape:  `model_path`: the folder of the weights, as in `s3://bucket/models/…`. The model is served by its
            public id.
    Raises: UnfitEngine.
    Source: `vllm serve --help=all` of vLLM 0.32.0, run 2026-11-23.
    """
    check(engine)
    model = engine.model
    options: dict[str, object] = {
        "served-model-name": model.id,
        "host": "0.0.0.0",
        "port": PORT,
        "max-model-len": model.context,
        "max-num-queued-reqs": engine.queued,
        "tensor-parallel-size": engine.gpus,
        "load-format": "runai_streamer",
        "model-loader-extra-config": json.dumps({"memory_limit": _buffer_bytes(engine)}),
        "shutdown-timeout": SHUTDOWN_S,
        "sse-keep-alive-interval": KEEP_ALIVE_S,
        "disable-access-log-for-endpoints": "/health,/metrics",
    }
    if model.tool_parser:
        options["tool-call-parser"] = model.tool_parser
    if model.reasoning_parser:
        options["reasoning-parser"] = model.reasoning_parser
    switches = [
        "--enable-prompt-tokens-details",
        "--disable-fastapi-docs",
        "--no-enable-log-requests",
        *(["--enable-auto-tool-choice"] if model.tool_parser else []),
    ]
    return [
        model_path,
        *(part for name, value in options.items() for part in (f"--{name}", str(value))),
        *switches,
    ]


def _buffer_bytes(engine: Engine) -> int:
    """Return what each of the engine's processes may hold of weights on their way to its GPU."""
    return engine.memory_gib * _GIB // _BUFFER_SHARE // engine.gpus
