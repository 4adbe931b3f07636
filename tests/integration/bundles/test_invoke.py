"""`make invoke`: bundles and events under AWS's own emulator."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from infra.paths import ROOT
from tests.engines.scripted import ScriptedEngine
from tests.postgres import Postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("bundles"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS builds its emulator for Linux alone"),
]


def invoke(event: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    unset = dict.fromkeys(("MODELS", "BACKEND", "FUNCTION", "DATABASE_URL", "KEYS_TABLE"), "")
    environment = {**os.environ, **unset, "PORT": "1", "EVENT": event, **variables}
    return subprocess.run(
        (sys.executable, "-m", "infra.invoke"),
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "event", [pytest.param("chat_completion_v1", marks=pytest.mark.nightly), "chat_completion_v2"]
)
def test_a_completion(engine: ScriptedEngine, event: str) -> None:
    models = json.dumps({"scripted": {"base_url": engine.base_url}})
    done = invoke(f"tests/events/{event}.json", MODELS=models)
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/1.1 200\ncontent-type: application/json\n")
    assert json.loads(body)["choices"][0]["message"]["content"] == "The capital of France is Paris."
    assert "START RequestId" in done.stderr


@pytest.mark.parametrize(
    "event", [pytest.param("chat_health_v1", marks=pytest.mark.nightly), "chat_health_v2"]
)
def test_health_needs_no_engine(event: str) -> None:
    done = invoke(f"tests/events/{event}.json")
    assert done.stdout.endswith('\n\n{"status":"ok"}\n')
    assert "No engine: `make run` is not running on port 1." in done.stderr


@pytest.mark.parametrize("event", [pytest.param("todos_v1", marks=pytest.mark.nightly), "todos_v2"])
def test_the_documents_query(postgres: Postgres, event: str) -> None:
    name = postgres.create_database()
    for migration in sorted((ROOT / "functions/todos/prisma/migrations").glob("*/migration.sql")):
        postgres.run_sql(migration.read_text(), name)
    done = invoke(f"tests/events/{event}.json", DATABASE_URL=postgres.url(name))
    assert json.loads(done.stdout.partition("\n\n")[2]) == {"data": {"todos": []}}, done.stderr
    assert not [each for each in psutil.process_iter(["cmdline"]) if _is_ours(each)], (
        "expected no process to be left"
    )


def _is_ours(process: psutil.Process) -> bool:
    """Return whether it is an emulator or a function of this test's."""
    return any(".local/bundles/todos-function" in part for part in process.info["cmdline"] or ())


def test_a_function_that_fails() -> None:
    done = invoke("tests/events/chat_health_v2.json", MODELS="{}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "The function failed: " in done.stderr
    assert "MODELS is missing" in done.stderr


@pytest.mark.parametrize(
    ("event", "function", "text"),
    [
        ("nowhere.json", "", "Expected an event in nowhere.json, but got: No such file or directory."),
        ("README.md", "", "Expected README.md to hold JSON, but it does not"),
        ("tests/events/sqs.json", "todo", "Expected FUNCTION to be chat or todos, but got 'todo'."),
    ],
    ids=["no file", "no JSON", "no function"],
)
def test_mistakes(event: str, function: str, text: str) -> None:
    done = invoke(event, FUNCTION=function)
    assert done.returncode == 1
    assert done.stderr.startswith(text)
    assert "Traceback" not in done.stderr
