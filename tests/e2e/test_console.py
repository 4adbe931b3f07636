"""What the terminal shows: how to begin, and a line per request that gives nothing away."""

import json
import re
import shutil
import subprocess
import textwrap

import pytest

from tests.e2e.conftest import Scripted
from tests.e2e.raw_http import QUESTION
from tests.engines import schema
from tests.engines.behaviours import Chat, Sse, vllm_error
from tests.engines.events import joined, pieces, tokens
from tests.local_service import LocalService

CANARY = "canary-7f3a"
# The first digit of the status of each request's line.
STATUS = re.compile(r"POST /v1/chat/completions  (\d)\d\d  first byte .* ms  total .*s  .* k?B")


def test_the_banner_says_what_runs_where(local: LocalService) -> None:
    for text in (
        f"chat      http://localhost:{local.port}/, or in another terminal: make chat PORT={local.port}\n",
        f"http://localhost:{local.port}/docs",
        '"default" is smollm2-135m-instruct',
        "llama.cpp on http://127.0.0.1:",
        "functions/chat",
        "Ctrl-C",
    ):
        assert text in local.banner


@pytest.mark.skipif(not shutil.which("bash") or not shutil.which("curl"), reason="needs bash and curl")
def test_the_banners_curl_streams_as_printed(scripted: Scripted) -> None:
    pasted = scripted.local.banner.partition("Try it:")[2].partition("Ctrl-C")[0]
    done = subprocess.run(
        ["bash", "-c", textwrap.dedent(pasted)], capture_output=True, timeout=20, check=True
    )
    assert schema.check_stream(done.stdout).error is None
    assert done.stdout.endswith(b"data: [DONE]\n\n")


def test_the_console_shows_each_request_but_neither_prompt_nor_key_nor_reply(scripted: Scripted) -> None:
    body = {**QUESTION, "messages": [{"role": "user", "content": CANARY}], "user": CANARY}
    broken = json.dumps({"error": {"message": CANARY, "type": CANARY, "param": None, "code": 500}})
    broken_stream = joined(tokens(2, finish=None, done=False), pieces(f"data: {broken}\n\n".encode()))
    with scripted.service.client() as client:
        headers = {"authorization": f"Bearer {CANARY}", "x-request-id": "seen"}
        for behaviour in (Chat(Sse(tokens(text=CANARY))), vllm_error(400, CANARY), Chat(Sse(broken_stream))):
            scripted.engine.behaviour = behaviour
            client.post(f"/v1/chat/completions?q={CANARY}", json={**body, "stream": True}, headers=headers)
        client.post("/v1/chat/completions", content=f'{{"model": "{CANARY}', headers=headers)
        client.post("/v1/chat/completions", json={**body, "temperature": CANARY}, headers=headers)
    shown = scripted.local.out.wait_for(lambda text: sorted(STATUS.findall(text)[-5:]) == [*"22444"])
    assert CANARY not in shown
