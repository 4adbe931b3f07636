"""The commands on a table of moto's in this process."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from functions.keys.history import Change
from functions.keys.store import KeyTable
from functions.shared.key_text import digest
from tests.aws import boto_of
from tests.integration.keys.conftest import Keys
from tests.unit.keys.store import a_key, a_record

LISTED = ("name", "requests_per_minute", "hint")
NOW_MS = int(time.time() * 1000)


def made(keys: Keys, *arguments: str, name: str = "alice") -> dict[str, Any]:
    printed = keys("create", "--name", name, *arguments, "--json")
    assert (printed.status, printed.err) == (0, "")
    data: dict[str, Any] = json.loads(printed.out)
    return data


def test_the_limits_are_in_the_table_and_the_key_is_not(keys: Keys, table: KeyTable) -> None:
    data = made(
        keys,
        *("--models", "default,small", "--rpm", "60", "--tpm", "20000"),
        *("--budget-tokens", "1000000", "--expires", "90d", "--any-model"),
    )
    (key,) = table.all_keys()
    assert (key.id, key.name, key.models) == (data["id"], "alice", frozenset({"default", "small"}))
    assert (key.requests_per_minute, key.tokens_per_minute, key.budget_tokens) == (60, 20000, 1000000)
    assert key.expires_at == key.created_at + 90 * 86400
    assert key.digest == digest(data["key"])
    stored = boto_of(table).scan(TableName="keys")
    assert data["key"] not in json.dumps(stored)


@pytest.mark.usefixtures("table")
def test_nothing_but_a_new_key_shows_a_key(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "table")
    old = made(keys)
    new = json.loads(keys("rotate", "alice", "--json").out)
    assert new["key"] != old["key"]
    assert new["id"] == old["id"]
    for command in (["list"], ["show", "alice"], ["disable", "alice"], ["enable", "alice"], ["usage"]):
        for form in ([], ["--json"]):
            printed = keys(*command, *form)
            assert printed.status == 0, printed.err
            assert old["key"] not in printed.out
            assert new["key"] not in printed.out
            assert not printed.err
    assert old["key"] not in caplog.text
    assert new["key"] not in caplog.text


def test_each_change_is_a_line_for_a_log(
    keys: Keys, table: KeyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = keys("create", "--name", "Zoë 日本", "--rpm", "5", "--json")
    data = json.loads(created.out)
    (line,) = created.audit
    assert line == {
        "at": line["at"],
        "by": "user/moto",
        "command": "create",
        "key_id": data["id"],
        "name": "Zoë 日本",
        "changes": {
            "name": ["", "Zoë 日本"],
            "requests_per_minute": [None, 5],
            "hint": ["", data["hint"]],
            **{name: line["changes"][name] for name in line["changes"] if name not in LISTED},
        },
    }
    monkeypatch.setenv("KEYS_ACTOR", "job 7")
    (disabled,) = keys("disable", data["id"]).audit
    assert (disabled["by"], disabled["command"]) == ("job 7", "disable")
    assert disabled["changes"] == {"disabled": [False, True]}
    assert keys("disable", data["id"]).audit == (), "nothing was changed"
    rotated = keys("rotate", data["id"], "--grace", "1h", "--json")
    begun, ended = rotated.audit
    new = json.loads(rotated.out)
    assert begun["changes"]["hint"] == [data["hint"], new["hint"]]
    assert ended["changes"].keys() == {"replaced_texts"}
    history = [(each.command, dict(each.members)) for each in reversed(table.history(data["id"]))]
    lines = [line, disabled, begun, ended]
    assert json.loads(json.dumps(history)) == [[each["command"], each["changes"]] for each in lines]
    for secret in (data["key"], new["key"], digest(data["key"]), digest(new["key"])):
        assert secret not in json.dumps([lines, history])


@pytest.mark.usefixtures("table")
def test_a_key_is_found_by_id_beginning_and_name(keys: Keys) -> None:
    data = made(keys)
    made(keys, name="bob")
    for which in (data["id"], data["id"][:14], "alice"):
        assert json.loads(keys("show", which, "--json").out)["id"] == data["id"]
    printed = keys("show", "key_")
    assert printed.status == 1
    assert "'key_' stands for 2" in printed.err
    assert printed.err.count("\n") == 3
    assert data["hint"] in printed.err
    printed = keys("disable", "carol")
    assert (printed.status, printed.out) == (1, "")
    assert "No key has the id or the name 'carol'. There are:" in printed.err


def test_a_rotated_key_stays_disabled(keys: Keys, table: KeyTable) -> None:
    data = made(keys, "--rpm", "5")
    assert keys("disable", "alice").status == 0
    printed = keys("rotate", data["id"])
    assert "It is disabled, and refused as long as it is" in printed.out
    (key,) = table.all_keys()
    assert key.disabled
    assert key.requests_per_minute == 5
    assert key.digest != digest(data["key"])


@pytest.mark.usefixtures("table")
def test_an_empty_table_comes_with_advice(keys: Keys) -> None:
    assert keys("list").out == "No keys yet. Make the first: python -m functions.keys create --name alice\n"
    assert keys("list", "--json").out == "[]\n"
    assert keys("usage").out.startswith("No usage since ")
    printed = keys("show", "alice")
    assert (printed.status, printed.out) == (1, "")
    assert "there are none. Make the first:" in printed.err


@pytest.mark.usefixtures("table")
def test_a_name_may_be_in_any_script(keys: Keys) -> None:
    made(keys, name="Zoë 日本 🦆")
    assert "Zoë 日本 🦆" in keys("list").out
    assert "Zoë 日本 🦆" in keys("show", "Zoë 日本 🦆", "--json").out


def test_more_keys_than_one_call_returns_are_listed(keys: Keys, table: KeyTable) -> None:
    for number in range(101):
        table.add(a_key(number, name=f"user {number}"))
    assert len(json.loads(keys("list", "--json").out)) == 101
    assert len(keys("list").out.splitlines()) == 102


def test_a_replayed_log_is_in_the_usage_once(keys: Keys, table: KeyTable, tmp_path: Path) -> None:
    data = made(keys)
    records = [a_record(number, key_id=data["id"], started_at=NOW_MS - number) for number in range(5)]
    table.put_usage(records[0])
    log = tmp_path / "function.log"
    lines = ["START", *(record.to_json() for record in records), '{"usage":{"outcome":"fine"}}', "END"]
    log.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe")
    for written in (4, 0):
        printed = keys("replay", str(log))
        assert printed.status == 1
        assert printed.out.startswith(f"Wrote {written} usage records;")
        assert f"Already there: {5 - written}." in printed.out
        assert "Skipped 3 other lines and 1 malformed record." in printed.out
        assert printed.err == "line 7: Expected a usage record, but `outcome` is of the wrong kind.\n"
    (row,) = json.loads(keys("usage", "alice", "--by", "model", "--json").out)["rows"]
    assert (row["model"], row["requests"], row["prompt_tokens"]) == ("tiny", 5, 50)


def test_a_deleted_key_gets_its_records(keys: Keys, table: KeyTable, tmp_path: Path) -> None:
    table.add(a_key())
    deleting = Change(id="1", at_ms=NOW_MS, by="operator", command="delete")
    assert table.delete(a_key().id, NOW_MS // 1000 + 10**6, deleting)
    log = tmp_path / "function.log"
    log.write_text(a_record(started_at=NOW_MS).to_json())
    printed = keys("replay", str(log))
    assert (printed.status, printed.err) == (0, "")
    assert [record.request_id for record in table.usage(a_key().id, 0, 10**15)] == [a_record().request_id]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("name", "reason"), [("none.log", "No such file or directory"), ("", "Is a directory")]
)
def test_a_log_that_cannot_be_read(keys: Keys, tmp_path: Path, name: str, reason: str) -> None:
    printed = keys("replay", str(tmp_path / name))
    assert (printed.status, printed.out) == (1, "")
    assert printed.err == (
        f"Cannot read {tmp_path / name}: {reason}. Give the path of a log, or - for standard input.\n"
    )
