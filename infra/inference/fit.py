"""Whether an engine's settings work together: checked here, not on a GPU machine ten minutes later."""

from __future__ import annotations

from collections.abc import Iterator

from infra.inference.gpu_memory import room_gib
from infra.inference.timeouts import LONGEST_START_S
from infra.stages import Engine

# The numbers of attention heads of nearly all models can be divided by these.
GPUS = (1, 2, 4, 8)
# vLLM's own processes, about 4 GiB, and buffers for the weights.
MIN_MEMORY_GIB = 8
_MINIMUMS = {
    "cpus": 1,
    "memory_gib": MIN_MEMORY_GIB,
    "gpu_memory_gib": 1,
    "queued": 1,
    "waiting_target": 1,
    "machines": 1,
    "held_streams": 1,
    "idle_minutes": 1,
    "start_s": 1,
}


class UnfitEngine(ValueError):
    """The settings cannot work; the text has which, what was expected and what it was."""


def check(engine: Engine) -> None:
    """Check an engine's settings.

    Raises: UnfitEngine, with all mistakes.
    """
    found = list(mistakes(engine))
    if found:
        raise UnfitEngine("\n".join(found))


def mistakes(engine: Engine) -> Iterator[str]:
    """Yield each mistake, a sentence that begins with the setting's name."""
    yield from _of_memory(engine)
    for name, minimum in _MINIMUMS.items():
        value = getattr(engine, name)
        if value < minimum:
            yield f"engine.{name}: expected at least {minimum}, but got {value}."
    model = engine.model
    sizes = (1, model.max_tokens_default, model.max_tokens_limit, model.context)
    if list(sizes) != sorted(sizes):
        yield (
            "engine.model: expected 1 ≤ max_tokens_default ≤ max_tokens_limit ≤ context, but got "
            f"{model.max_tokens_default}, {model.max_tokens_limit} and {model.context}."
        )
    if engine.start_s > LONGEST_START_S:
        yield f"engine.start_s: expected at most {LONGEST_START_S}, but got {engine.start_s}."
    yield from _of_tasks(engine)
    yield from _of_a_pool(engine)
    if engine.machines > 1:
        yield from _of_machines(engine)


def _of_memory(engine: Engine) -> Iterator[str]:
    if engine.gpus not in GPUS:
        yield f"engine.gpus: expected one of {', '.join(map(str, GPUS))}, but got {engine.gpus}."
    elif engine.machines > 0 and room_gib(engine) <= 0:
        machines = f"{engine.machines} × " if engine.machines > 1 else ""
        yield (
            f"engine.gpus: the weights ({engine.model.weights_gib} GiB) and vLLM's own needs do not fit into "
            f"{machines}{engine.gpus} × {engine.gpu_memory_gib} GiB. Set more GPUs or larger ones: "
            "docs/scale.md."
        )


def _of_tasks(engine: Engine) -> Iterator[str]:
    least, most = engine.tasks
    if not 0 <= least <= most or not most:
        yield f"engine.tasks: expected the minimum, then the maximum, but got {least} and {most}."
    elif least == 0 and most > 1:
        yield (
            f"engine.tasks: expected (0, 1), since one task at most scales from zero, but got (0, {most}). "
            "For more tasks set a minimum of 1."
        )


def _of_a_pool(engine: Engine) -> Iterator[str]:
    if engine.warm_pool not in (0, 1):
        yield f"engine.warm_pool: expected 0 or 1, the one machine it starts, but got {engine.warm_pool}."
    elif engine.warm_pool and not engine.scales_to_zero:
        yield "engine.warm_pool: expected 0, since this engine always runs, but got 1. Or set tasks=(0, 1)."
    elif engine.warm_pool and engine.spot:
        yield "engine.warm_pool: expected 0, since Auto Scaling keeps no Spot machine stopped, but got 1."


def _of_machines(engine: Engine) -> Iterator[str]:
    for name, expected in {"tasks": (1, 1), "balancer": False, "spot": False}.items():
        value = getattr(engine, name)
        if value != expected:
            yield (
                f"engine.{name}: expected {expected}, since one task on each of {engine.machines} machines "
                f"makes the engine, but got {value}."
            )
