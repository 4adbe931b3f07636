"""Keys that version 0.4.0 wrote: frozen, as they lie in tables that are in use."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from functions.keys.store import KeyTable
from functions.shared.key_text import digest
from functions.shared.keys import Key, KeyRefused, Keyring
from tests.aws import boto_of
from tests.integration.keys.conftest import NAME, Keys
from tests.unit.keys.store import a_change

TEXT = "sk-of-version-0-4-0"
DIGEST = "5f3a1c821a474ec8e994f2f462d4db3b2be9880d5aeb930788af376e565b45be"
ITEMS = """[
{"pk": {"S": "key#DIGEST"}, "sk": {"S": "key"}, "id": {"S": "key_8c1f0b7ad24e96b3"},
 "digest": {"S": "DIGEST"}, "name": {"S": "alice"}, "models": {"SS": ["default"]},
 "requests_per_minute": {"N": "60"}, "tokens_per_minute": {"N": "20000"}, "budget_tokens": {"N": "1000000"},
 "created_at": {"N": "1795000000"}, "expires_at": {"N": "4102444800"}, "disabled": {"BOOL": false},
 "hint": {"S": "sk-…-4-0"}},
{"pk": {"S": "keys"}, "sk": {"S": "key_8c1f0b7ad24e96b3"}, "digest": {"S": "DIGEST"}, "name": {"S": "alice"}},
{"pk": {"S": "id#key_8c1f0b7ad24e96b3"}, "sk": {"S": "limits"}, "window": {"N": "29916666"},
 "requests": {"N": "3"}, "tokens": {"N": "120"}, "spent": {"N": "4321"}, "running": {"N": "0"}}
]""".replace("DIGEST", DIGEST)
ID = "key_8c1f0b7ad24e96b3"


@pytest.fixture
def old(table: KeyTable) -> KeyTable:
    """A table with a key of 0.4.0."""
    for item in json.loads(ITEMS):
        boto_of(table).put_item(TableName=NAME, Item=item)
    return table


def authenticate(table: KeyTable, text: str = TEXT) -> Key | None:
    return asyncio.run(Keyring(table).authenticate(f"Bearer {text}"))


def printed(keys: Keys, *arguments: str) -> Any:
    done = keys(*arguments, "--json")
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_it_is_accepted_listed_and_shown(keys: Keys, old: KeyTable) -> None:
    key = authenticate(old)
    assert key
    assert (key.name, key.models, key.budget_tokens) == ("alice", frozenset({"default"}), 1_000_000)
    assert (key.budget_period, key.on_outage, key.tags, key.books) == (None, "open", frozenset(), 1)
    (listed,) = printed(keys, "list")
    assert (listed["id"], listed["status"], listed["created_by"]) == (ID, "active", None)
    for which in (ID, ID[:12], "alice"):
        assert printed(keys, "show", which)["spent_tokens"] == 4321


def test_it_is_updated_topped_up_disabled_and_enabled(keys: Keys, old: KeyTable) -> None:
    assert printed(keys, "update", "alice", "--rpm", "120", "--name", "al")["name"] == "al"
    assert printed(keys, "topup", "al", "1k")["budget_tokens"] == 1_001_000
    assert printed(keys, "disable", ID)["status"] == "disabled"
    with pytest.raises(KeyRefused, match="disabled"):
        authenticate(old)
    assert printed(keys, "enable", ID)["status"] == "active"
    key = authenticate(old)
    assert key
    assert (key.name, key.requests_per_minute, key.tokens_per_minute) == ("al", 120, 20_000)
    assert [each.command for each in old.history(ID)] == ["enable", "disable", "topup", "update"]
    assert old.spent(ID) == 4321


def test_it_is_rotated(keys: Keys, old: KeyTable) -> None:
    text = printed(keys, "rotate", "alice")["key"]
    key = authenticate(old, text)
    assert key
    assert (key.id, key.budget_tokens, old.spent(ID)) == (ID, 1_000_000, 4321)
    with pytest.raises(KeyRefused, match="Incorrect API key"):
        authenticate(old)


def test_it_is_deleted_and_restored(keys: Keys, old: KeyTable) -> None:
    assert printed(keys, "delete", "alice", "--yes")["status"] == "deleted"
    with pytest.raises(KeyRefused, match="deleted"):
        authenticate(old)
    assert printed(keys, "restore", "alice")["status"] == "active"
    assert authenticate(old)


@pytest.mark.parametrize("changed", ["disabled", "rotated"])
def test_a_command_of_0_4_that_comes_in_between_is_not_undone(
    old: KeyTable, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """It knows no ids of changes: it sets `disabled` of the item, or replaces the item and the listing."""
    client, write = boto_of(old), old._write_together
    done: list[bool] = []

    def interrupted(writes: Any) -> None:
        if not done:
            done.append(True)
            key, listed, _ = json.loads(ITEMS)
            place = {name: key[name] for name in ("pk", "sk")}
            if changed == "disabled":
                client.put_item(TableName=NAME, Item={**key, "disabled": {"BOOL": True}})
            else:
                client.delete_item(TableName=NAME, Key=place)
                text = json.dumps([key, listed]).replace(DIGEST, "f" * 64)
                for item in json.loads(text):
                    client.put_item(TableName=NAME, Item=item)
        write(writes)

    monkeypatch.setattr(old, "_write_together", interrupted)
    old.rotate(ID, digest("new"), "", a_change())
    key = asyncio.run(old.key(digest("new")))
    assert key
    assert key == old.find(ID)
    assert key.disabled == (changed == "disabled")


def test_functions_of_0_4_refuse_what_is_deleted_or_was_replaced(old: KeyTable) -> None:
    """They know `disabled` and `expires_at` alone."""
    client, now = boto_of(old), int(time.time())

    def read(digest: str) -> dict[str, Any]:
        place = {"pk": {"S": f"key#{digest}"}, "sk": {"S": "key"}}
        item: dict[str, Any] = client.get_item(TableName=NAME, Key=place)["Item"]
        return item

    old.rotate(ID, digest("new"), "", a_change(at=now))
    old.end_replaced(ID, now + 3600, a_change(at=now))
    assert (read(DIGEST)["digest"], read(DIGEST)["expires_at"]) == ({"S": DIGEST}, {"N": str(now + 3600)})
    assert read(digest("new"))["expires_at"] == {"N": "4102444800"}
    old.change(ID, lambda key: replace(key, requests_per_minute=5), a_change(at=now))
    assert read(DIGEST)["requests_per_minute"] == {"N": "5"}
    old.delete(ID, now + 3600, a_change(at=now))
    assert read(DIGEST)["disabled"] == read(digest("new"))["disabled"] == {"BOOL": True}
    old.restore(ID, a_change(at=now))
    assert read(DIGEST)["disabled"] == read(digest("new"))["disabled"] == {"BOOL": False}
