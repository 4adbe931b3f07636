"""A key that somebody chose."""

import pytest

from functions.keys import commands
from functions.keys.arguments import parse
from functions.keys.errors import UsageError
from functions.keys.own_key import own_key
from functions.keys.place import Place
from functions.shared.key_text import digest, new_key
from tests.unit.keys.store import NOW, MemoryStore

HERE = ("--table", "keys", "--endpoint", "http://127.0.0.1:1")
FROM_ENV = ("create", "--name", "development", "--key-from-env", "DEV_KEY")


def chosen(*arguments: str, **environ: str) -> str | None:
    asked = parse([*arguments], NOW)
    return own_key(asked, Place.from_arguments(asked, environ), environ)


def test_it_is_taken_out_of_the_variable_and_kept_by_its_digest() -> None:
    text = chosen(*FROM_ENV, *HERE, DEV_KEY="your_api_key_here")
    store = MemoryStore({})
    answer = commands.create(store, NOW, name="development", text=text)
    assert answer.data["key"] == text == "your_api_key_here"
    assert [key.digest for key in store.keys.values()] == [digest("your_api_key_here")]


def test_one_of_ours_may_be_chosen() -> None:
    key = new_key()
    assert chosen(*FROM_ENV, *HERE, DEV_KEY=key) == key


def test_unless_asked_for_it_is_not_looked_for() -> None:
    assert chosen("create", "--name", "alice", *HERE, DEV_KEY="secret") is None
    assert chosen("list", *HERE, DEV_KEY="secret") is None


def test_aws_gets_no_keys_that_can_be_guessed() -> None:
    with pytest.raises(UsageError, match="only with --endpoint") as refused:
        chosen(*FROM_ENV, "--table", "keys", DEV_KEY="secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["secret ", "secret\n", "sécret", f"sk-{'x' * 43}secret"])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(UsageError, match=r"Expected DEV_KEY to hold a key, .*but got ") as refused:
        chosen(*FROM_ENV, *HERE, DEV_KEY=text)
    assert "cret" not in str(refused.value)


def test_a_variable_that_is_not_set_is_told() -> None:
    with pytest.raises(UsageError, match=r"Expected DEV_KEY to hold a key, .*but got nothing"):
        chosen(*FROM_ENV, *HERE)
