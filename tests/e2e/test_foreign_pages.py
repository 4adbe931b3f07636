"""Web pages that attack the service on this machine, in a headless Chromium: nothing is seen or changed."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from infra.paths import ROOT
from tests.e2e.scenarios import page, seen_in_browser
from tests.local_service import LocalService, run_local

pytestmark = pytest.mark.slow
REBOUND = "rebound.example"


def servers(local: LocalService) -> dict[str, str]:
    """Return the address of every server that `make run` starts and that speaks HTTP."""
    addresses = {"engine": r"llama.cpp on (\S+)/v1", "dynamodb": r"DynamoDB on ([^\s,]+)"}
    printed = {name: re.findall(pattern, local.banner)[0] for name, pattern in addresses.items()}
    chat = next(each for each in local.functions() if each.environ()["AWS_LAMBDA_FUNCTION_NAME"] == "chat")
    runtime = f"http://{chat.environ()['AWS_LAMBDA_RUNTIME_API']}"
    return {"gateway": f"http://localhost:{local.port}", "runtime": runtime, **printed}


@pytest.fixture(scope="module")
def attacked(_here: None) -> Iterator[tuple[LocalService, Any]]:
    """The service, and what the pages saw."""
    with run_local(AUTH="on") as local, page() as foreign:
        with local.service.client() as client:
            assert client.post("/graphql", json={"query": "{ todos { id } }"}).status_code == 200
        assert "node" not in {process.name() for process in local.processes()}
        yield local, seen_in_browser("foreign", foreign, REBOUND, json.dumps(servers(local)))


def test_a_page_of_another_origin_sees_nothing(attacked: tuple[LocalService, Any]) -> None:
    _, seen = attacked
    assert [line for line in seen["foreign"] if not line.endswith(" nothing")] == []


def test_a_page_whose_name_resolves_to_this_machine_sees_refusals_only(
    attacked: tuple[LocalService, Any],
) -> None:
    _, seen = attacked
    statuses = [line.split(" ")[2] for line in seen["rebound"]]
    assert len(statuses) == 15
    assert set(statuses) <= {"401", "403", "404", "421"}, seen["rebound"]


def test_no_request_of_a_page_reached_a_function(attacked: tuple[LocalService, Any]) -> None:
    local, _ = attacked
    lines = [line for line in str(local.out).splitlines() if "foreign" in line or "POST /v1" in line]
    assert lines
    assert all(re.search(r"  (403|421)  .*foreign (page|host)$", line) for line in lines), lines


def test_the_keys_are_all_there_and_the_next_request_is_its_callers(
    attacked: tuple[LocalService, Any],
) -> None:
    local, _ = attacked
    command = local.banner.partition("manage keys:\n")[2].partition("Try it:")[0].strip()
    listed = subprocess.run(("sh", "-c", command), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "development" in listed.stdout
    with local.service.client() as client:
        body = {"model": "default", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        todos = client.post("/graphql", json={"query": "{ todos { title } }"}).json()["data"]["todos"]
        assert {"title": "x"} not in todos
