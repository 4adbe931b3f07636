"""What a server that is not ours serves, as far as it shows."""

import json
from dataclasses import dataclass

import pytest

from infra.local.errors import CannotStart
from infra.local.services.models import backend_models
from tests.engines.behaviours import Status
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Reply, Request


@dataclass(frozen=True)
class Posted:
    """Answer a GET as FastAPI does: another method for these paths, none for the others."""

    paths: frozenset[str]

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Answer with a status."""
        status = 405 if request.path.removeprefix("/v1/") in self.paths else 404
        await Status(status, b'{"detail": "x"}')(request, reply)


@pytest.mark.parametrize(
    ("owner", "paths", "serves"),
    [
        ("vllm", {"chat/completions", "completions"}, ["chat", "completions"]),
        ("vllm", {"embeddings"}, ["embeddings"]),
        ("vllm", set(), None),
        ("sglang", {"chat/completions", "completions", "embeddings"}, None),
    ],
)
def test_a_vllm_serves_what_takes_no_get(
    engine: ScriptedEngine, owner: str, paths: set[str], serves: list[str] | None
) -> None:
    engine.models = Status(200, json.dumps({"data": [{"id": "a", "owned_by": owner}]}).encode())
    engine.behaviour = Posted(frozenset(paths))
    assert backend_models(engine.base_url, "sk-test")["a"].get("serves") == serves


def test_what_is_set_is_not_looked_for(engine: ScriptedEngine) -> None:
    engine.models = Status(200, json.dumps({"data": [{"id": "a", "owned_by": "vllm"}]}).encode())
    table = backend_models(engine.base_url, "", serves=("chat", "embeddings"))
    assert table["a"]["serves"] == ["chat", "embeddings"]
    assert not engine.requests


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (
            Status(200, b'{"error": "Unexpected endpoint"}'),
            "but got something else. Does FALLBACK end in /v1?",
        ),
        (Status(404, b""), "answered 404 at .*/models. Does FALLBACK end in /v1?"),
        (Status(401, b""), "answered 401 at .*/models. Set FALLBACK_KEY to its key."),
        (Status(200, b'{"data": []}'), "lists no models. Load one"),
    ],
)
def test_a_server_without_a_list_of_models_is_named_with_what_to_do(
    engine: ScriptedEngine, reply: Status, text: str
) -> None:
    engine.models = reply
    with pytest.raises(CannotStart, match=text):
        backend_models(engine.base_url, "", "FALLBACK_KEY")
