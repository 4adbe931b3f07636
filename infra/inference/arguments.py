"""vLLM's command line, and its variables.

vLLM loads media from any address unless it is given a list of hosts, and an empty list counts as none. So
without hosts it gets a name that nothing has: RFC 2606 reserves `.invalid` for that.

No prompt is logged: vLLM logs none by default. The key is not an argument, because every principal that may
describe a task can read its command: it is the variable VLLM_API_KEY.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from infra.inference.fit import check
from infra.inference.timeouts import SHUTDOWN_S
from infra.stages import Engine

PORT = 8000
# Shorter than any proxy's idle timeout.
KEEP_ALIVE_S = 15
# The buffer for weights is this part of the task's memory: by default it is 40 GB, and ECS kills the task.
_BUFFER_SHARE = 4
_GIB = 1024**3
NO_HOST = "none.invalid"
# Neither Hugging Face nor vLLM's statistics can be reached, nor should they be. A redirect would lead away
# from the hosts that media may be loaded from.
_VARIABLES = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0"}
# Where vLLM's processes on several machines find each other: its own default.
GROUP_PORT = 29501
# A task has a second interface, `ecs-eth0`, that leads to its machine alone.
_GROUP_VARIABLES = {"NCCL_SOCKET_IFNAME": "^lo,docker,ecs"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which of an engine's machines a process is for.

    Shape:  `rank` 0 is the head, which answers requests; `head` is its name for the others.
    """

    rank: int = 0
    head: str = ""

    @property
    def is_head(self) -> bool:
        """Whether it answers requests."""
        return self.rank == 0

    def url(self, own: str) -> str:
        """Return where the head answers: at `own` for itself."""
        return own if self.is_head else f"http://{self.head}:{PORT}"


ONLY = Place()


def variables(engine: Engine) -> dict[str, str]:
    """Return vLLM's variables, without its key."""
    return _VARIABLES | (_GROUP_VARIABLES if engine.machines > 1 else {})


def vllm_arguments(engine: Engine, *, model_path: str, place: Place = ONLY) -> list[str]:
    """Return what follows `vllm serve`.

    Shape:  `model_path`: the folder of the weights, as in `s3://bucket/models/…`. The model is served by its
            public id. On several machines each holds a part of the layers (pipeline parallel), split over
            its GPUs.
    Raises: UnfitEngine.
    Source: `vllm serve --help=all` of vLLM 0.32.0, run 2026-11-23; its `multimodal/media/connector.py`, read
            2026-11-26, and `config/parallel.py` and `entrypoints/cli/serve.py`, read 2026-11-27.
    """
    check(engine)
    model = engine.model
    # Each of the engine's processes loads the weights of its GPU through a buffer of its own.
    buffer_bytes = engine.memory_gib * _GIB // _BUFFER_SHARE // engine.gpus
    options: dict[str, object] = {
        "served-model-name": model.id,
        "host": "0.0.0.0",
        "port": PORT,
        "max-model-len": model.context,
        "max-num-queued-reqs": engine.queued,
        "tensor-parallel-size": engine.gpus,
        "load-format": "runai_streamer",
        "model-loader-extra-config": json.dumps({"memory_limit": buffer_bytes}),
        "shutdown-timeout": SHUTDOWN_S,
        "sse-keep-alive-interval": KEEP_ALIVE_S,
        "disable-access-log-for-endpoints": "/health,/metrics",
    }
    if model.tool_parser:
        options["tool-call-parser"] = model.tool_parser
    if model.reasoning_parser:
        options["reasoning-parser"] = model.reasoning_parser
    if engine.machines > 1:
        options["pipeline-parallel-size"] = engine.machines
        options["nnodes"] = engine.machines
        options["node-rank"] = place.rank
        options["master-addr"] = place.head
        options["master-port"] = GROUP_PORT
    switches = [
        *("--allowed-media-domains", *(model.media_hosts or (NO_HOST,))),
        "--enable-prompt-tokens-details",
        "--disable-fastapi-docs",
        "--no-enable-log-requests",
        *(["--enable-auto-tool-choice"] if model.tool_parser else []),
        *([] if place.is_head else ["--headless"]),
    ]
    return [
        model_path,
        *(part for name, value in options.items() for part in (f"--{name}", str(value))),
        *switches,
    ]
