import json
from pathlib import Path

import pytest

from infra.emulator.errors import CannotInvoke
from infra.emulator.events import function_of, read_event
from infra.paths import ROOT

EVENTS = ROOT / "tests" / "events"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, r"Expected an event in .*/event.json, but got: No such file or directory. For example: make"),
        ("{", r"Expected .*/event.json to hold JSON, but it does not: Expecting property name"),
        ("[1]", r"Expected .*/event.json to hold a JSON object, but got a list."),
    ],
    ids=["no file", "no JSON", "no object"],
)
def test_a_file_without_an_event(tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "event.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CannotInvoke, match=text):
        read_event(str(path))


def test_no_file() -> None:
    with pytest.raises(CannotInvoke, match="Expected EVENT to name a file with an event, but it is not set"):
        read_event("")


def test_the_example_exists() -> None:
    with pytest.raises(CannotInvoke) as failure:
        read_event("")
    assert read_event(str(ROOT / str(failure.value).rpartition("EVENT=")[2]))["rawPath"] == "/health"


@pytest.mark.parametrize(
    ("event", "wanted", "function"),
    [
        ("chat_completion_v1", "", "chat"),
        ("chat_completion_v2", "", "chat"),
        ("todos_v1", "", "todos"),
        ("todos_v2", "", "todos"),
        ("todos_v2", "chat", "chat"),
        ("sqs", "", "chat"),
        ("sqs", "todos", "todos"),
    ],
)
def test_paths_lead_to_functions(event: str, wanted: str, function: str) -> None:
    assert function_of(json.loads((EVENTS / f"{event}.json").read_text()), wanted) == function


def test_an_unknown_function() -> None:
    with pytest.raises(CannotInvoke, match=r"Expected FUNCTION to be chat or todos, but got 'todo'\."):
        function_of({}, "todo")
