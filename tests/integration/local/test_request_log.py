"""The terminal says of each request which model ran, what it used, and how it ended."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.engines.behaviours import Chat, Sse
from tests.engines.events import joined, pieces, tokens
from tests.engines.scripted import ScriptedEngine
from tests.local_service import LocalService, run_local

CANARY = "canary-7f3a"
ERROR = {"error": {"message": CANARY, "type": CANARY, "param": None, "code": 500}}
BROKEN = joined(tokens(2, finish=None, done=False), pieces(f"data: {json.dumps(ERROR)}\n\n".encode()))


@pytest.fixture(scope="module")
def local(shared_engine: ScriptedEngine) -> Iterator[LocalService]:
    with run_local(BACKEND=shared_engine.base_url) as local:
        yield local


@pytest.mark.parametrize(
    ("behaviour", "stream", "shown"),
    [
        (Chat(), True, r"200  first byte .* k?B  scripted  \d+\+8 tokens"),
        (Chat(), False, r"200  first byte .* B  scripted  \d+\+8 tokens"),
        (Chat(Sse(BROKEN)), True, r"200  first byte .* B  scripted  \d+\+2 tokens  error upstream_error"),
    ],
)
def test_a_line_says_how_it_ended(
    behaviour: Chat, stream: bool, shown: str, local: LocalService, engine: ScriptedEngine
) -> None:
    engine.behaviour = behaviour
    before = str(local.out).count("POST /v1")
    message = {"role": "user", "content": CANARY}
    with local.service.client() as client:
        body = {"model": "default", "messages": [message], "stream": stream, "max_tokens": 20}
        client.post(f"/v1/chat/completions?q={CANARY}", json=body)
    out = local.out.wait_for(lambda text: text.count("POST /v1") > before)
    line = [line for line in out.splitlines() if "POST /v1" in line][-1]
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  POST /v1/chat/completions  {shown}", line)
    assert CANARY not in out
    assert "_aws" not in out


def test_a_request_that_is_refused_has_no_tokens(local: LocalService) -> None:
    before = str(local.out).count("POST /v1")
    message = {"role": "user", "content": CANARY}
    with local.service.client() as client:
        client.post("/v1/chat/completions", json={"model": CANARY, "messages": [message]})
    out = local.out.wait_for(lambda text: text.count("POST /v1") > before)
    assert re.search(r"404  first byte .* B  refused model_not_found$", out.splitlines()[-1])
    assert CANARY not in out
