"""The commands that change what a key may do, delete it and restore it."""

import re
import sys
from typing import Any

import click
import pytest

from functions.keys.__main__ import run
from functions.keys.session import Location, Session
from functions.keys.stored_keys import ChangeUnknown
from functions.shared.limits import Counts
from tests.unit.keys.store import DAY_S, NOW, MemoryStore, a_key, invoke, invoke_in, printed, session_of

MONTH = "month:20261101"


def store_of(**members: Any) -> MemoryStore:
    key = a_key(**members)
    return MemoryStore({key.id: key, a_key(2).id: a_key(2, name="bob")})


def the_key(store: MemoryStore) -> Any:
    return store.keys[a_key().id]


def refusal(store: MemoryStore, *arguments: str) -> str:
    """Return why a command is refused, which has changed nothing."""
    before = dict(store.keys)
    with pytest.raises(click.ClickException) as refused:
        invoke(store, *arguments)
    assert store.keys == before
    return refused.value.message


# update


def test_every_member_is_changed_and_the_changes_are_shown() -> None:
    store = store_of(requests_per_minute=60, tags=frozenset({"a", "b"}))
    result = invoke(
        store,
        *("update", "alice", "--name", "al", "--models", "small", "--rpm", "120", "--tpm", "20k"),
        *("--concurrent", "4", "--budget", "2M/month", "--timezone", "europe/berlin", "--expires", "1w"),
        *("--on-outage", "closed", "--note", "of the web team", "--tag", "c", "--untag", "a"),
    )
    key = the_key(store)
    assert (key.name, key.models, key.requests_per_minute, key.tokens_per_minute) == (
        *("al", frozenset({"small"}), 120),
        20_000,
    )
    assert (key.concurrent, key.budget_tokens, key.budget_period) == (4, 2_000_000, "month")
    assert (key.budget_timezone, key.expires_at, key.on_outage) == (
        *("Europe/Berlin", NOW + 7 * DAY_S),
        "closed",
    )
    assert (key.note, key.tags) == ("of the web team", frozenset({"b", "c"}))
    assert (
        printed(result)
        == f"""\
Updated {key.id} (al). It holds within 30 s everywhere.
  name           alice -> al
  models         all -> small
  rpm            60 -> 120
  tpm            none -> 20,000
  budget         none -> 2,000,000
  budget period  none -> month
  timezone       UTC -> Europe/Berlin
  concurrent     none -> 4
  on-outage      open -> closed
  note           none -> of the web team
  tags           a, b -> b, c
  expires        never -> 2026-12-02 02:00 UTC"""
    )
    assert result.data["changed"]["requests_per_minute"] == {"old": 60, "new": 120}
    assert result.data["changed"]["expires_at"] == {"old": None, "new": "2026-12-02T02:00:00Z"}
    assert result.data["tokens_per_minute"] == 20_000


def test_none_takes_a_limit_away() -> None:
    store = store_of(
        **{"requests_per_minute": 1, "tokens_per_minute": 1, "concurrent": 1, "expires_at": int(NOW) + 9},
        **{"budget_tokens": 1, "budget_period": "day", "budget_timezone": "Europe/Berlin", "note": "x"},
        models=frozenset({"small"}),
    )
    invoke(
        store,
        *("update", "alice", "--rpm", "none", "--tpm", "None", "--concurrent", "none", "--budget", "none"),
        *("--expires", "never", "--note", "", "--models", "all"),
    )
    key = the_key(store)
    assert (key.limited, key.expires_at, key.note, key.models) == (False, None, "", frozenset())
    assert (key.budget_period, key.budget_timezone) == (None, "UTC")


def test_none_is_a_name_like_any_other() -> None:
    store = store_of()
    invoke(store, "update", "alice", "--name", "none")
    assert the_key(store).name == "none"


def test_a_top_up_stays_with_its_kind_of_period() -> None:
    members = {"budget_tokens": 9, "budget_period": "month", "extra_tokens": 5, "extra_period": MONTH}
    store = store_of(**members)
    invoke(store, "update", "alice", "--budget", "2M/month")
    assert (the_key(store).extra_tokens, the_key(store).budget_tokens) == (5, 2_000_000)
    invoke(store, "update", "alice", "--budget", "2M/week")
    assert (the_key(store).extra_tokens, the_key(store).extra_period) == (0, "")


def test_what_is_so_already_is_said() -> None:
    store = store_of(requests_per_minute=60)
    result = invoke(store, "update", "alice", "--rpm", "60")
    assert printed(result) == f"Nothing was changed: {a_key().id} (alice) is so already."
    assert result.data["changed"] == {}
    assert not store.history(a_key().id)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "Expected an option that changes the key, as --rpm 120, but got none."),
        (["--same-name"], "Expected an option that changes the key, as --rpm 120, but got none."),
        (
            ["--name", "bob"],
            f"There is a key of the name 'bob' already: {a_key(2).id}. Give one of them another",
        ),
        (["--timezone", "UTC"], "Expected --timezone only for a budget that begins again each day, week or"),
        (["--on-outage", "closed"], "Expected --on-outage closed only for a key with a limit, for without"),
        (["--untag", "x"], "Expected --untag with a tag of the key, but got 'x'; it has a."),
        ([f"--tag={number}" for number in range(20)], "Expected at most 20 tags, but got 21."),
    ],
)
def test_an_update_that_makes_no_sense(arguments: list[str], error: str) -> None:
    assert refusal(store_of(tags=frozenset({"a"})), "update", "alice", *arguments).startswith(error)


def test_the_last_limit_of_a_key_that_needs_one_stays() -> None:
    store = store_of(budget_tokens=9, on_outage="closed")
    assert "--on-outage open" in refusal(store, "update", "alice", "--budget", "none")
    invoke(store, "update", "alice", "--budget", "none", "--on-outage", "open")
    assert not the_key(store).limited


def test_a_name_may_be_given_twice_if_that_is_wanted() -> None:
    store = store_of()
    invoke(store, "update", "alice", "--name", "bob", "--same-name")
    assert [key.name for key in store.keys.values()] == ["bob", "bob"]
    assert "stands for 2" in refusal(store, "update", "bob", "--rpm", "1")
    assert "already" in refusal(store, "create", "--name", "bob")
    invoke(store, "create", "--name", "bob", "--same-name")


# models


def stack_session(store: MemoryStore, models: frozenset[str] | None) -> Session:
    location = Location(table="keys", stack="chatbot", models=models)
    return Session(NOW, {"STACK": "chatbot"}, connect=lambda _: (location, store))


def test_models_that_the_stack_does_not_have_are_refused() -> None:
    store = store_of()
    for command in (("create", "--name", "carol"), ("update", "alice")):
        session = stack_session(store, frozenset({"qwen", "llama"}))
        with pytest.raises(click.ClickException) as refused:
            invoke_in(session, *command, "--models", "qwen,nosuch")
        assert refused.value.message == (
            "Expected models that are deployed, llama, qwen, but got nosuch."
            " Give another, or --any-model if it will be deployed."
        )
        invoke_in(session, *command, "--models", "qwen,default")
    invoke_in(
        stack_session(store, frozenset({"qwen"})), "update", "alice", "--models", "nosuch", "--any-model"
    )
    assert the_key(store).models == frozenset({"nosuch"})


def test_models_are_those_of_the_chat_function_s_variable() -> None:
    with pytest.raises(click.ClickException, match="but got nosuch"):
        invoke(store_of(), "update", "alice", "--models", "nosuch", MODELS='{"qwen": {}}')
    for models in ("", "qwen", "[]", "{}"):
        assert invoke(store_of(), "update", "alice", "--models", "nosuch", MODELS=models).notes


def test_models_that_cannot_be_checked_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    store = store_of(models=frozenset({"small"}))
    assert run(("create", "--name", "carol", "--models", "default,small"), session_of(store)) == 0
    assert capsys.readouterr().err == ""
    assert run(("create", "--name", "dave", "--models", "nosuch"), session_of(store)) == 0
    assert capsys.readouterr().err == (
        "Note: it was not checked whether there is a model nosuch, for that takes --stack, or MODELS."
        " Other keys may use default, small.\n"
    )


# topup


def test_a_budget_for_ever_is_raised() -> None:
    store = store_of(budget_tokens=1000)
    result = invoke(store, "topup", "alice", "1k")
    assert printed(result) == f"Added 1,000 tokens to {a_key().id} (alice). Its budget is 2,000."
    assert result.data["changed"] == {"budget_tokens": {"old": 1000, "new": 2000}}


def test_a_budget_of_a_period_is_raised_for_the_current_one() -> None:
    store = store_of(budget_tokens=1000, budget_period="month")
    for total in ("1,500", "2,000"):
        assert printed(invoke(store, "topup", "alice", "500")) == (
            f"Added 500 tokens to {a_key().id} (alice). Its budget is {total} until 2026-12-01 00:00 UTC,"
            " then 1,000 again."
        )
    assert (the_key(store).budget_tokens, the_key(store).extra_tokens) == (1000, 1000)
    assert the_key(store).extra_period == MONTH
    invoke(store, "topup", "alice", "500", now=NOW + 30 * DAY_S)
    assert (the_key(store).extra_tokens, the_key(store).extra_period) == (500, "month:20261201")


def test_a_period_that_has_begun_elsewhere_is_raised() -> None:
    """The time zone was changed from one where it is December: that is counted in."""
    store = store_of(budget_tokens=1000, budget_period="month")
    store.counted[a_key().id] = Counts(window=0, periods={"month": (20261201, 900)})
    assert "is 1,500 until 2027-01-01 00:00 UTC" in printed(invoke(store, "topup", "alice", "500"))
    assert the_key(store).extra_period == "month:20261201"


def test_a_key_without_a_budget_has_nothing_to_add_to() -> None:
    assert refusal(store_of(), "topup", "alice", "500") == (
        f"{a_key().id} (alice) has no budget, so there is nothing to add to. To give it one: python -m"
        f" functions.keys update {a_key().id} --budget 500"
    )
    assert "at most 1,000,000,000,000,000" in refusal(store_of(budget_tokens=10**15), "topup", "alice", "1")


def test_a_change_that_may_have_been_made_is_not_repeated_blindly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = store_of(budget_tokens=1000)
    store.failing, store.answered = ChangeUnknown("ReadTimeoutError"), 2
    assert run(("topup", a_key().id, "500"), session_of(store)) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "could not be reached (ReadTimeoutError)" in first
    assert second == (
        f"It is not known whether {a_key().id} was changed. If python -m functions.keys history {a_key().id}"
        " does not have it, run the same command again."
    )


# delete and restore


def test_a_key_is_deleted_hidden_and_restored() -> None:
    store = store_of(disabled=True)
    result = invoke(store, "delete", "alice", "--yes")
    assert printed(result) == (
        f"Deleted {a_key().id} (alice). It is refused within 30 s everywhere."
        "\nIt can be restored until 2027-02-23 02:00 UTC. To do so: python -m functions.keys restore"
        f" {a_key().id}"
    )
    assert result.data["status"] == "deleted"
    assert [key["name"] for key in invoke(store, "list").data] == ["bob"]
    assert [key["name"] for key in invoke(store, "list", "--deleted").data] == ["alice"]
    assert invoke(store, "show", "alice").data["status"] == "deleted"
    for command in (["update", "alice", "--rpm", "1"], ["enable", "alice"], ["rotate", "alice"]):
        assert refusal(store, *command) == (
            f"{a_key().id} (alice) was deleted on 2026-11-25 02:00 UTC."
            f" To accept it again: python -m functions.keys restore {a_key().id}"
        )
    assert printed(invoke(store, "restore", "alice")) == (
        f"Restored {a_key().id} (alice). It is disabled, as it was:"
        f" python -m functions.keys show {a_key().id}"
    )
    assert (the_key(store).deleted_at, the_key(store).disabled) == (None, True)


def test_a_deletion_can_be_repeated_with_another_end() -> None:
    store = store_of()
    invoke(store, "delete", "alice", "--yes")
    invoke(store, "delete", "alice", "--yes", "--keep", "1w", now=NOW + 60)
    assert (the_key(store).deleted_at, the_key(store).kept_until) == (NOW, NOW + 60 + 7 * DAY_S)


def test_a_key_may_be_deleted_for_good() -> None:
    store = store_of()
    assert printed(invoke(store, "delete", "alice", "--yes", "--keep", "0d")) == (
        f"Deleted {a_key().id} (alice). It is refused within 30 s everywhere.\nIt cannot be restored."
    )
    assert "is being removed" in refusal(store, "restore", "alice")


def test_a_name_is_free_once_its_key_is_deleted() -> None:
    store = store_of()
    invoke(store, "delete", "alice", "--yes")
    invoke(store, "create", "--name", "alice")
    assert invoke(store, "show", "alice").data["status"] == "active"
    assert "There is a key of the name 'alice' already" in refusal(store, "restore", "alice")
    invoke(store, "restore", "alice", "--same-name")
    assert the_key(store).deleted_at is None


def test_what_cannot_be_restored() -> None:
    store = store_of()
    assert "is not deleted" in refusal(store, "restore", "alice")
    said = refusal(store, "restore", "nosuch")
    assert said.endswith("there are none that were deleted. What is there: python -m functions.keys list")
    invoke(store, "delete", "alice", "--yes", "--keep", "1m")
    assert invoke(store, "list", "--deleted", now=NOW + 60).data == []
    with pytest.raises(click.ClickException, match="was kept until 2026-11-25 02:01 UTC, and is"):
        invoke(store, "restore", "alice", now=NOW + 60)


def test_a_pipe_confirms_nothing() -> None:
    assert (
        refusal(store_of(), "delete", "alice") == "Expected --yes, for there is no terminal to confirm it on."
    )


@pytest.mark.parametrize(("typed", "deleted"), [("y", True), ("n", False), ("", False)])
def test_a_terminal_confirms_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, deleted: bool
) -> None:
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return typed

    monkeypatch.setattr(click.termui, "visible_prompt_func", answer)
    store = store_of()
    assert run(("delete", "alice"), session_of(store)) == (0 if deleted else 1)
    assert (the_key(store).deleted_at is not None) == deleted
    out, err = capsys.readouterr()
    assert f"Delete {a_key().id} (alice)? It can be restored until 2027-02-23 02:00 UTC." in err + "".join(
        prompts
    )
    assert "Nothing was deleted." in err or deleted
    assert bool(out) == deleted


# which key


def test_names_that_look_the_same_are_the_same() -> None:
    store = store_of(name="Zoe\u0308")
    assert "already" in refusal(store, "create", "--name", "Zo\u00eb")
    assert invoke(store, "update", "Zo\u00eb", "--rpm", "5").data["id"] == a_key().id


@pytest.mark.parametrize(
    "command", [("disable",), ("enable",), ("rotate",), ("delete",), ("update", "--rpm", "1"), ("topup", "5")]
)
def test_a_change_needs_eight_digits_of_an_id_or_the_name(command: tuple[str, ...]) -> None:
    key = a_key(0x1F2E3D4C << 32, budget_tokens=5)
    store = MemoryStore({key.id: key})
    name, *options = command
    for which in ("key_1f2e3d4", "key_1", "key_"):
        said = refusal(store, name, which, *options)
        assert said.startswith(
            f"Expected at least eight digits of an id, or a name, to change a key, but got {which!r}."
        )
        assert key.id in said
    assert invoke(store, "show", "key_1f").data["id"] == key.id
    for which in ("key_1f2e3d4c", key.id, "alice"):
        options = ["--yes"] if name == "delete" else options
        assert invoke(store, name, which, *options).data["id"] == key.id
        store.keys[key.id] = key


@pytest.mark.parametrize(
    ("word", "name"),
    [("revoke", "disable"), ("rm", "delete"), ("edit", "update"), ("ls", "list"), ("regenerate", "rotate")],
)
def test_a_word_of_another_command_line_is_understood(
    word: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run((word, "alice"), session_of(store_of())) == 2
    assert re.match(f"No such command '{word}'. Did you mean '{name}'\\?\n", capsys.readouterr().err)
