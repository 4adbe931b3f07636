"""How long the context of each model is, as its engine reports it in its own list of models."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from math import inf
from typing import Any

from functions.chat.models import Model
from functions.shared.clock import Clock

from .engine import Engine

# How long a list of ours waits for engines: those that take longer are left out of it.
WAIT_S = 0.3
KNOWN_S, UNKNOWN_S = 3600.0, 60.0


class ContextLengths:
    """What engines report is kept for an hour; one that reports nothing is queried again after a minute."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock or Clock()
        self._lengths: dict[str, int] = {}
        self._again_at: dict[str, float] = {}

    async def of(self, models: Collection[Model]) -> dict[str, int]:
        """Return the lengths that are known, by the model's id; no engine is started for it."""
        now = self._clock.elapsed_s()
        due = [model for model in models if self._again_at.get(model.id, -inf) <= now]
        for model in due:
            self._again_at[model.id] = now + UNKNOWN_S
        if due:
            tasks = [asyncio.ensure_future(self._learn(model)) for model in due]
            _, late = await asyncio.wait(tasks, timeout=WAIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {model.id: self._lengths[model.id] for model in models if model.id in self._lengths}

    async def _learn(self, model: Model) -> None:
        listed = await self._engine.models(model)
        entries = listed.get("data") if isinstance(listed, dict) else None
        named = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
        if len(named) > 1:
            named = [each for each in named if each.get("id") == model.served_name]
        for length in (_length_in(each) for each in named):
            if length:
                self._lengths[model.id] = length
                self._again_at[model.id] = self._clock.elapsed_s() + KNOWN_S


def _length_in(entry: dict[str, Any]) -> int | None:
    """Return the length that an entry states: vLLM and SGLang, llama.cpp, then hosted APIs."""
    meta = entry.get("meta")
    stated = [entry.get("max_model_len")]
    stated += [meta.get("n_ctx"), meta.get("n_ctx_train")] if isinstance(meta, dict) else []
    names = ("loaded_context_length", "context_length", "context_window", "max_context_length")
    stated += [entry.get(name) for name in names]
    return next((each for each in stated if type(each) is int and each > 0), None)
