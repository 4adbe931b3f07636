"""How much GPU memory a model needs: the formulas of docs/scale.md."""

from __future__ import annotations

from infra.stages import Engine

# vLLM's share of each GPU: its own default.
USED = 0.92
# Of that, the part of activations and captured graphs.
WORKING_GIB = 1.5
_GIB = 1024**3


def weights_gib(parameters: float, bytes_each: float = 2) -> float:
    """Return the size of the weights; `bytes_each` is 2 for bfloat16, 1 for FP8, 0.5 for 4 bits."""
    return parameters * bytes_each / _GIB


def token_bytes(*, layers: int, key_heads: int, head_size: int, bytes_each: float = 2) -> float:
    """Return the size of one token of context: a key and a value, in each layer, of each of its heads."""
    return 2 * layers * key_heads * head_size * bytes_each


def cache_gib(*, gpus: int, gpu_memory_gib: float, weights_gib: float) -> float:
    """Return the memory left for the context of all requests; negative: the weights do not fit."""
    return gpus * (gpu_memory_gib * USED - WORKING_GIB) - weights_gib


def room_gib(engine: Engine) -> float:
    """Return the memory that an engine's GPUs leave for context."""
    return cache_gib(
        gpus=engine.gpus * engine.machines,
        gpu_memory_gib=engine.gpu_memory_gib,
        weights_gib=engine.model.weights_gib,
    )
