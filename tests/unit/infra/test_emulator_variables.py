import json
from pathlib import Path

import pytest

from infra.emulator import variables
from infra.emulator.errors import CannotInvoke
from infra.emulator.variables import variables_of

TASK = Path("/somewhere/task")
URL = "postgresql://u:secret@127.0.0.1:1/todos"


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without an .env."""
    monkeypatch.setattr(variables, "ENV_FILE", tmp_path / ".env")
    return tmp_path / ".env"


def test_the_shell_is_passed_on_without_its_python() -> None:
    shell = {
        "MODELS": "{}",
        "KEYS_TABLE": "keys",
        "AWS_REGION": "eu-west-1",
        "PYTHONPATH": "/x",
        "_HANDLER": "h",
    }
    environment = variables_of("chat", TASK, shell)
    assert environment.keys() >= {"MODELS", "KEYS_TABLE", "PATH"}
    assert environment["AWS_REGION"] == "eu-west-1"
    assert not {"PYTHONPATH", "_HANDLER"} & environment.keys()


def test_without_an_engine_it_is_that_of_make_run(capsys: pytest.CaptureFixture[str]) -> None:
    models = json.loads(variables_of("chat", TASK, {"PORT": "1", "MODELS": ""})["MODELS"])
    assert [each["base_url"] for each in models.values()] == ["http://127.0.0.1:1/v1"]
    assert variables_of("chat", TASK, {"MODELS": "{}"})["CHAT_PAGE"] == "/somewhere/task/chat-page"
    assert "No engine: `make run` is not running on port 1." in capsys.readouterr().err


def test_the_database_that_make_run_left(env_file: Path) -> None:
    env_file.write_text(f"DATABASE_URL={URL}\n")
    environment = variables_of("todos", TASK, {})
    assert environment["DATABASE_URL"] == URL
    assert environment["GRAPHIQL"] == "/somewhere/task/graphiql"


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_SECRET"])
def test_a_database_of_ones_own(env_file: Path, name: str) -> None:
    env_file.write_text(f"DATABASE_URL={URL}-of-make-run\n")
    environment = variables_of("todos", TASK, {name: "mine"})
    assert environment[name] == "mine"
    assert f"{URL}-of-make-run" not in environment.values()


def test_no_database(env_file: Path) -> None:
    with pytest.raises(
        CannotInvoke, match=f"database in DATABASE_URL or {env_file}, but found none. `make run`"
    ):
        variables_of("todos", TASK, {})


def test_a_setting_that_cannot_be_read() -> None:
    with pytest.raises(CannotInvoke, match="Expected PORT to be a number"):
        variables_of("chat", TASK, {"PORT": "http"})
