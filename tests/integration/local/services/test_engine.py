"""llama.cpp serves the holder of this run's key, and no other program."""

import asyncio
import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.local.console import Console
from infra.local.processes import Guardian
from infra.local.services.engine import EmbeddedEngine

FOREIGN = {"Host": "evil.example", "Origin": "https://evil.example"}
COMPLETION = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
REQUESTS = [
    ("GET", "/health", 404),
    ("GET", "/v1/models", 401),
    ("GET", "/engine/health", 401),
    ("GET", "/engine/v1/health", 401),
    ("GET", "/engine/v1/models", 401),
    ("GET", "/engine/slots", 401),
    ("GET", "/engine/props", 401),
    ("GET", "/engine/", 401),
    ("POST", "/engine/v1/chat/completions", 401),
    ("POST", "/engine/completion", 401),
    ("POST", "/v1/chat/completions", 401),
]


def posted(engine: EmbeddedEngine, path: str, **fields: Any) -> dict[str, Any]:
    """Return the reply to a request that bears the key."""
    connection = http.client.HTTPConnection(urlsplit(engine.base_url).netloc, timeout=60)
    with closing(connection):
        headers = {"Authorization": f"Bearer {engine.key}"}
        connection.request("POST", f"/engine/v1/{path}", json.dumps(fields), headers)
        reply: dict[str, Any] = json.loads(connection.getresponse().read())
        return reply


def request(
    engine: EmbeddedEngine, method: str, path: str, headers: dict[str, str]
) -> tuple[int, str | None]:
    """Send a request; return its status, and what pages may read the response."""
    connection = http.client.HTTPConnection(urlsplit(engine.base_url).netloc, timeout=20)
    with closing(connection):
        connection.request(method, path, COMPLETION if method == "POST" else None, headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers["access-control-allow-origin"]


def test_without_the_key_nothing_is_served_and_no_page_may_read_it(tmp_path: Path) -> None:
    async def run() -> None:
        with Guardian() as guardian:
            engine = EmbeddedEngine(guardian, Console(), log_file=tmp_path / "log")
            await engine.start()
            try:
                await asyncio.to_thread(check, engine)
            finally:
                await engine.stop()

    def check(engine: EmbeddedEngine) -> None:
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
        seen = [(method, path, *request(engine, method, path, FOREIGN)) for method, path, _ in REQUESTS]
        assert {(method, path): status for method, path, status, _ in seen} == {
            (method, path): status for method, path, status in REQUESTS
        }
        assert not any(readable for *_, readable in seen)
        key = {"Authorization": f"Bearer {engine.key}"}
        assert request(engine, "POST", "/engine/v1/chat/completions", key)[0] == 200

    asyncio.run(run())


@pytest.mark.slow
def test_it_embeds_beside_chat_and_neither_changes_the_other(tmp_path: Path) -> None:
    message = {"role": "user", "content": "Count to twenty"}

    async def run() -> None:
        with Guardian() as guardian:
            engine = EmbeddedEngine(guardian, Console(), log_file=tmp_path / "log")
            await engine.start()

            def chat() -> dict[str, Any]:
                return posted(engine, "chat/completions", messages=[message], max_tokens=60, temperature=0)

            def embed() -> dict[str, Any]:
                return posted(engine, "embeddings", input=["Good morning", "a longer text " * 20])

            try:
                alone = await asyncio.to_thread(chat), await asyncio.to_thread(embed)
                together = await asyncio.gather(asyncio.to_thread(chat), asyncio.to_thread(embed))
            finally:
                await engine.stop()
            assert together[0]["choices"] == alone[0]["choices"]
            assert together[1]["data"] == alone[1]["data"]

    asyncio.run(run())
