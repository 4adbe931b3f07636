import shlex

import pytest

from infra.local.services.dynamodb import NAME
from infra.local.settings import LOCAL, Settings
from infra.local.welcome import welcome

KEYS = {
    "KEYS_TABLE": NAME,
    "DYNAMODB_ENDPOINT": "http://127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_CONFIG_FILE": "/dev/null",
}


def words(text: str, after: str = "Try it:", before: str = "Ctrl-C") -> list[str]:
    """Split a pasted command as a shell does."""
    return shlex.split(text.partition(after)[2].partition(before)[0].replace("\\\n", ""))


def test_without_auth_no_key_is_mentioned() -> None:
    text = welcome(Settings(), 8000, ["m"], "http://127.0.0.1:1/v1", "")
    assert "key" not in text
    assert words(text)[3:5] == ["-H", "Content-Type: application/json"]
    assert words(text)[5] == "-d"


@pytest.mark.parametrize(("port", "command"), [(8000, "make chat"), (9000, "make chat PORT=9000")])
def test_the_chat_in_a_terminal_finds_the_port(port: int, command: str) -> None:
    assert f"terminal: {command}\n" in welcome(Settings(), port, ["m"], "", "")


def test_a_key_of_any_characters_is_ready_to_be_pasted() -> None:
    key = "it's $HOME \\ {key}"
    text = welcome(Settings(), 8000, ["m"], "", "", key, KEYS)
    assert f"\n  key       {key}\n  keys      moto's DynamoDB on http://127.0.0.1:1, in memory" in text
    assert f"Authorization: Bearer {key}" in words(text)


def test_the_command_for_more_keys_is_complete() -> None:
    text = welcome(Settings(), 8000, ["m"], "", "", "key", KEYS)
    command = words(text, "keys:\n", "Try it:")
    assert command[:-4] == [f"{name}={value}" for name, value in KEYS.items() if name != "AWS_CONFIG_FILE"]
    assert command[-3:] == ["-m", "functions.keys", "list"]


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(), "one process per request, as on Lambda, each at most 10"),
        (Settings(concurrency=3), "one process per request, as on Lambda, each at most 3"),
        (
            Settings(per_environment=64),
            "64 requests in a process, as on Lambda Managed Instances, at most 64",
        ),
        (Settings(per_environment=64, concurrency=8), "functions/todos: one process per request, at most 8"),
    ],
)
def test_how_many_requests_a_process_serves_is_shown(settings: Settings, shown: str) -> None:
    assert shown in welcome(settings, 8000, ["m"], "", "")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (Settings(), "llama.cpp on http://127.0.0.1:1/v1"),
        (Settings(backend="http://a/v1"), "http://a/v1"),
        (Settings(backend="http://a/v1", fallback="http://b/v1"), "http://a/v1, else http://b/v1"),
        (
            Settings(backend="http://a/v1", fallback=LOCAL),
            "http://a/v1, else llama.cpp on http://127.0.0.1:1/v1",
        ),
        (Settings(fallback="http://b/v1"), "llama.cpp on http://127.0.0.1:1/v1, else http://b/v1"),
    ],
)
def test_every_engine_is_shown(settings: Settings, shown: str) -> None:
    assert f"\n  engine    {shown}\n" in welcome(settings, 8000, ["m"], "http://127.0.0.1:1/v1", "")
