"""Changes of keys on moto's DynamoDB: each is done once and whole, whatever else happens."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from moto import mock_aws

from functions.keys import key_writes
from functions.keys.history import Change
from functions.keys.store import KeyTable
from functions.keys.stored_keys import ChangeUnknown
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.dynamodb import in_parallel
from functions.shared.items import SCHEMA
from functions.shared.keys import Key, KeysUnavailable
from tests.aws import boto_of
from tests.integration.keys.conftest import NAME, REGION
from tests.unit.keys.store import DAY_S, NOW, a_change, a_key, a_record

KEY = a_key(1, digest="a1" * 32, requests_per_minute=60, expires_at=int(NOW) + 9 * DAY_S, books=2)
NEW, NEWER, LOST = "b2" * 32, "c3" * 32, "d4" * 32
SOON = int(NOW) + 3600


def found(table: KeyTable, digest: str) -> Key | None:
    """Return the key that a function finds."""
    return asyncio.run(table.key(digest))


def disable(table: KeyTable, change: Change | None = None) -> Key:
    done = table.change(KEY.id, lambda key: replace(key, disabled=True), change or a_change("disable"))
    assert done
    return done[0]


def items(table: KeyTable, kind: str = "") -> list[dict[str, Any]]:
    """Return what is stored, of a kind."""
    stored = boto_of(table).scan(TableName=NAME)["Items"]
    return [item for item in stored if item["pk"]["S"].startswith(kind)]


@pytest.fixture
def other(table: KeyTable) -> KeyTable:  # noqa: ARG001 - it makes the table
    """Another command's."""
    return KeyTable(NAME, aws=Aws(Boto(region=REGION)))


# one change


def test_a_change_is_kept_with_who_made_it_when_and_what(table: KeyTable) -> None:
    table.add(KEY, created := a_change("create"))
    change = a_change("update", NOW + 60)
    done = table.change(
        KEY.id, lambda key: replace(key, requests_per_minute=120, tags=frozenset("ba")), change
    )
    assert done
    key, made = done
    assert made == replace(change, members={"requests_per_minute": (60, 120), "tags": ([], ["a", "b"])})
    assert (key.requests_per_minute, key.change, key.changed_by) == (120, change.id, "alice")
    assert key.changed_at == NOW + 60
    assert table.find(KEY.id) == found(table, KEY.digest) == key
    newest, oldest = table.history(KEY.id)
    assert newest == made
    assert (oldest.id, oldest.command) == (created.id, "create")
    assert oldest.members["requests_per_minute"] == (None, 60)
    assert KEY.digest not in json.dumps(items(table, "history#"))


def test_what_changes_nothing_is_not_written(table: KeyTable) -> None:
    table.add(KEY)
    before = items(table)
    done = table.change(KEY.id, lambda key: key, a_change())
    assert done
    assert (done[0], done[1].members, items(table)) == (KEY, {}, before)


def test_a_key_that_is_not_there_is_not_changed(table: KeyTable) -> None:
    assert table.change("key_3", lambda key: key, a_change()) is None
    assert table.rotate("key_3", NEW, "", a_change()) is None
    assert table.end_replaced("key_3", 0, a_change()) is None
    assert table.delete("key_3", 0, a_change()) is None
    assert table.restore("key_3", a_change()) is None
    assert table.replaced("key_3") == []
    assert table.history("key_3") == []


def test_what_alter_raises_changes_nothing(table: KeyTable) -> None:
    table.add(KEY)
    before = items(table)

    def alter(key: Key) -> Key:
        raise ZeroDivisionError(key.name)

    with pytest.raises(ZeroDivisionError):
        table.change(KEY.id, alter, a_change())
    assert items(table) == before


def test_a_change_that_was_made_again_comes_after_the_one_that_won(table: KeyTable) -> None:
    table.add(KEY)

    def alter(key: Key) -> Key:
        if not table.history(KEY.id):
            table.change(KEY.id, lambda key: replace(key, note="first"), a_change("first", NOW))
        return replace(key, name="second")

    table.change(KEY.id, alter, a_change("second", NOW))
    assert [each.command for each in table.history(KEY.id)] == ["second", "first"]


def test_a_name_is_changed_in_the_list_too(table: KeyTable) -> None:
    table.add(KEY)
    table.change(KEY.id, lambda key: replace(key, name="bob"), a_change())
    ((listed,), (key,)) = table.listed(), table.all_keys()
    assert (listed.name, listed.id, listed.hint, listed.deleted) == ("bob", KEY.id, KEY.hint, False)
    assert key.name == "bob"


def test_what_a_later_version_stores_stays(table: KeyTable) -> None:
    table.add(KEY)
    client = boto_of(table)
    for pk, sk in ((f"key#{KEY.digest}", "key"), ("keys", KEY.id)):
        client.update_item(
            TableName=NAME,
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            UpdateExpression="SET later = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, 0, a_change())
    assert [item["later"] for item in (*items(table, "key#"), *items(table, "keys"))] == [{"N": "1"}] * 2


# texts


def test_a_rotated_key_has_both_texts_until_the_first_one_ends(table: KeyTable) -> None:
    table.add(KEY)
    assert table.rotate(KEY.id, NEW, "sk-…new1", a_change("rotate"))
    old, new = found(table, KEY.digest), found(table, NEW)
    assert new
    assert new == table.find(KEY.id)
    assert old == replace(new, digest=KEY.digest, hint=KEY.hint)
    key = table.end_replaced(KEY.id, SOON, a_change("rotate", NOW + 1))
    assert key == found(table, NEW) == table.find(KEY.id)
    assert key
    assert found(table, KEY.digest) == replace(key, digest=KEY.digest, hint=KEY.hint, replaced_at=SOON)
    assert [(each.digest, each.until) for each in table.replaced(KEY.id)] == [(KEY.digest, SOON)]
    assert table.all_keys() == [key]


def test_without_a_grace_period_all_earlier_texts_are_removed(table: KeyTable) -> None:
    table.add(KEY)
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, SOON, a_change())
    table.rotate(KEY.id, NEWER, "", a_change())
    table.end_replaced(KEY.id, int(NOW), a_change())
    assert found(table, KEY.digest) is found(table, NEW) is None
    assert found(table, NEWER) == table.find(KEY.id)
    assert len(items(table, "key#")) == 1


def test_a_rotation_whose_text_was_lost_is_taken_back(table: KeyTable) -> None:
    table.add(KEY)
    before = table.find(KEY.id)
    table.rotate(KEY.id, NEW, "sk-…new", a_change("rotate"))
    taken_back = table.take_back(KEY.id, NEW, KEY.digest, a_change("rotate", NOW + 1))
    assert taken_back
    assert found(table, KEY.digest) == table.find(KEY.id) == taken_back
    assert replace(taken_back, change="", changed_at=None, changed_by="") == before
    assert found(table, NEW) is None
    assert table.replaced(KEY.id) == []
    again = table.take_back(KEY.id, NEW, KEY.digest, a_change("rotate", NOW + 2))
    assert again == taken_back, "there is nothing to undo"
    assert len(table.history(KEY.id)) == 2


def test_only_the_last_rotation_is_taken_back(table: KeyTable) -> None:
    table.add(KEY)
    for text in (NEW, NEWER):
        table.rotate(KEY.id, text, "", a_change("rotate"))
    key = table.take_back(KEY.id, NEW, KEY.digest, a_change("rotate"))
    assert key
    assert key.digest == NEWER
    key = table.take_back(KEY.id, NEWER, NEW, a_change("rotate"))
    assert key
    assert key.digest == NEW
    assert found(table, NEW) == key
    assert found(table, NEWER) is None
    assert [each.digest for each in table.replaced(KEY.id)] == [KEY.digest]
    old = found(table, KEY.digest)
    assert old == replace(key, digest=KEY.digest, hint=KEY.hint)


def test_a_second_rotation_in_a_grace_period_leads_from_all_texts_to_the_newest(table: KeyTable) -> None:
    table.add(KEY)
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, SOON, a_change())
    table.rotate(KEY.id, NEWER, "", a_change())
    table.end_replaced(KEY.id, SOON + 60, a_change())
    first, second = found(table, KEY.digest), found(table, NEW)
    assert first
    assert second
    assert (first.replaced_at, second.replaced_at) == (SOON, SOON + 60), "the first is not made to last"
    assert {item["moved_to"]["S"] for item in items(table, "key#") if "moved_to" in item} == {NEWER}


def test_a_change_in_a_grace_period_holds_for_each_text(table: KeyTable) -> None:
    table.add(KEY)
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, SOON, a_change())
    disable(table)
    for digest in (KEY.digest, NEW):
        key = found(table, digest)
        assert key
        assert key.disabled


def test_a_text_that_ended_is_removed_by_the_next_change(table: KeyTable) -> None:
    table.add(KEY)
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, SOON, a_change())
    disable(table, change := a_change("disable", SOON))
    assert len(items(table, "key#")) == 1
    assert table.replaced(KEY.id) == []
    assert table.history(KEY.id)[0].members == {"disabled": (False, True)}
    assert table.history(KEY.id)[0].id == change.id


def test_a_replaced_text_is_read_in_two_calls(table: KeyTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.add(KEY)
    table.rotate(KEY.id, NEW, "", a_change())
    calls: list[str] = []
    call = table._call

    def counted(operation: str, **parameters: Any) -> Any:
        calls.append(operation)
        return call(operation, **parameters)

    monkeypatch.setattr(table, "_call", counted)
    assert found(table, NEW)
    assert calls == ["get_item"]
    assert found(table, KEY.digest)
    assert calls == ["get_item"] * 3


# deleted keys


def test_a_deleted_key_is_refused_and_everything_of_it_has_an_end(table: KeyTable) -> None:
    table.add(KEY, a_change("create"))
    table.rotate(KEY.id, NEW, "", a_change())
    table.end_replaced(KEY.id, SOON, a_change())
    table.put_usage(a_record(1))
    until = int(NOW) + 90 * DAY_S
    key = table.delete(KEY.id, until, a_change("delete"))
    assert key
    assert (key.deleted_at, key.kept_until, key.disabled) == (NOW, until, False)
    assert found(table, NEW) == key
    old = found(table, KEY.digest)
    assert old
    assert old.deleted_at == NOW
    ends = {(item["pk"]["S"].partition("#")[0], int(item.get("ttl", {"N": 0})["N"])) for item in items(table)}
    assert {end for kind, end in ends if kind not in ("usage", "key")} == {until}
    assert {end for kind, end in ends if kind == "key"} == {until, SOON + DAY_S}
    assert all("ttl" in item for item in items(table)), "none stays for ever"
    assert [each.deleted for each in table.listed()] == [True]
    assert table.change(KEY.id, lambda key: replace(key, name="x"), a_change()) is None


def test_a_restored_key_is_as_it_was(table: KeyTable) -> None:
    table.add(replace(KEY, disabled=True))
    table.put_usage(a_record(1))
    before = {json.dumps(item, sort_keys=True) for item in items(table) if item["pk"]["S"][:3] != "key"}
    table.delete(KEY.id, SOON, a_change("delete"))
    key = table.restore(KEY.id, a_change("restore"))
    assert key
    assert key == replace(
        KEY, disabled=True, change=key.change, changed_at=key.changed_at, changed_by=key.changed_by
    )
    assert found(table, KEY.digest) == key
    after = {json.dumps(item, sort_keys=True) for item in items(table) if item["pk"]["S"][:3] != "key"}
    assert before < after
    assert not [item for item in items(table) if "ttl" in item and not item["pk"]["S"].startswith("usage#")]


# interrupted, lost and concurrent changes

CHANGES: dict[str, Callable[[KeyTable, Change], Any]] = {
    "disable": disable,
    "rotate": lambda table, change: table.rotate(KEY.id, NEWER, "", change),
    "end": lambda table, change: table.end_replaced(KEY.id, SOON, change),
    "delete": lambda table, change: table.delete(KEY.id, SOON, change),
    "restore": lambda table, change: table.restore(KEY.id, change),
}


class Failing(KeyTable):
    """A command's table of which one call fails: before it is done, or after it, when its response is lost.

    `gone`: so do all calls that follow.
    """

    def __init__(self, at: int, *, after: bool, gone: bool) -> None:
        super().__init__(NAME, aws=Aws(Boto(region=REGION)))
        self._left, self._after, self._gone = at, after, gone

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        self._left -= 1
        fails = self._left == -1 or (self._gone and self._left < -1)
        if fails and not (self._after and self._left == -1):
            raise KeysUnavailable("ReadTimeoutError")
        response = super()._call(operation, idempotent=idempotent, **parameters)
        if fails:
            raise KeysUnavailable("ReadTimeoutError")
        return response


def prepared(table: KeyTable, name: str) -> None:
    """Add the key, in the state in which a change is possible."""
    table.add(KEY, a_change("create"))
    table.rotate(KEY.id, NEW, "", a_change("rotate"))
    table.put_usage(a_record(1))
    if name == "restore":
        table.delete(KEY.id, SOON, a_change("delete"))


def reset(table: KeyTable, stored: list[dict[str, Any]]) -> None:
    """Have in the table what was stored before."""
    old = [{"DeleteRequest": {"Key": {name: item[name] for name in ("pk", "sk")}}} for item in items(table)]
    for requests in (old, [{"PutRequest": {"Item": item}} for item in stored]):
        boto_of(table).batch_write_item(RequestItems={NAME: requests})


def state(table: KeyTable) -> list[str]:
    """Return what is stored, without what differs from one change to the next."""
    found = []
    for item in items(table):
        texts = {name: value for name, value in item.items() if name not in ("change", "id", "sk", "listing")}
        found.append(json.dumps(texts, sort_keys=True))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "gone"),
    [
        pytest.param(True, False, id="a response is lost"),
        pytest.param(False, True, id="it ends before a call", marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupted_change_is_whole_or_none_and_can_be_repeated(
    table: KeyTable, name: str, after: bool, gone: bool
) -> None:
    change = a_change(name)
    prepared(table, name)
    before, made = items(table), len(table.history(KEY.id)) + 1
    CHANGES[name](table, change)
    whole = state(table)
    for at in range(100):
        reset(table, before)
        failing = Failing(at, after=after, gone=gone)
        try:
            CHANGES[name](failing, change)
        except KeysUnavailable:
            arrived = len(table.history(KEY.id)) == made
            CHANGES[name](table, change if arrived else replace(change, id="again"))
        assert len(table.history(KEY.id)) == made, "it is made once"
        assert state(table) == whole
        if failing._left >= 0:
            return
    pytest.fail("it takes more calls than it should")


def test_a_key_whose_response_was_lost_is_added_once(table: KeyTable) -> None:
    Failing(0, after=True, gone=False).add(KEY, a_change("create"))
    assert len(table.all_keys()) == len(table.history(KEY.id)) == 1
    with pytest.raises(ChangeUnknown):
        Failing(0, after=True, gone=True).add(a_key(2), a_change("create"))
    with pytest.raises(KeysUnavailable) as failed:
        Failing(0, after=False, gone=False).add(a_key(3), a_change("create"))
    assert not isinstance(failed.value, ChangeUnknown)
    assert [key.id for key in table.all_keys()] == [KEY.id, a_key(2).id]


@pytest.mark.parametrize("second", ["disable", "rotate", "end", "update"])
@pytest.mark.parametrize("first", ["disable", "rotate", "end", "update"])
def test_changes_at_the_same_time_are_both_made(
    table: KeyTable, other: KeyTable, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    made: dict[str, Callable[[KeyTable, Change], Any]] = {
        **CHANGES,
        "update": lambda table, change: table.change(
            KEY.id, lambda key: replace(key, requests_per_minute=(key.requests_per_minute or 0) + 1), change
        ),
        "rotate": lambda table, change: table.rotate(KEY.id, f"{int(change.id[:8], 16):064x}", "", change),
    }
    prepared(table, first)
    write, changes = key_writes.changes, [(second, a_change(second))]

    def interrupted(*arguments: Any) -> Any:
        while changes:
            name, change = changes.pop()
            made[name](other, change)
        return write(*arguments)

    monkeypatch.setattr(key_writes, "changes", interrupted)
    made[first](table, a_change(first))
    key = table.find(KEY.id)
    assert key
    assert key.disabled == ("disable" in (first, second))
    assert key.requests_per_minute == 60 + (first, second).count("update")
    assert len(table.replaced(KEY.id)) == 1 + (first, second).count("rotate")
    assert found(table, key.digest) == key
    for text in table.replaced(KEY.id):
        old = found(table, text.digest)
        assert old == replace(key, digest=text.digest, hint=text.hint, replaced_at=text.until)


# any order of changes


class Texts(RuleBasedStateMachine):
    """Two commands change one key; which texts a function accepts is what a simple model says."""

    def __init__(self) -> None:
        super().__init__()
        self._aws = mock_aws()
        self._aws.start()
        boto3.client("dynamodb", region_name=REGION).create_table(TableName=NAME, **SCHEMA)
        self.tables = [KeyTable(NAME, aws=Aws(Boto(region=REGION))) for _ in range(2)]
        self.now, self.disabled, self.deleted, self.rpm = int(NOW), False, False, 60
        # The texts by their digests, and when each ends; the newest is the last and has none.
        self.texts: dict[str, int | None] = {KEY.digest: None}
        self.tables[0].add(replace(KEY, expires_at=None))

    def teardown(self) -> None:
        self._aws.stop()

    def change(self) -> Change:
        return a_change(at=self.now)

    @rule(which=st.integers(0, 1), grace_s=st.sampled_from([None, 0, 60, 3600]))
    def rotate(self, which: int, grace_s: int | None) -> None:
        """`None`: the command is interrupted between its two steps."""
        new = f"{len(self.tables[0].history(KEY.id)) + 1:064x}"
        if not self.tables[which].rotate(KEY.id, new, "", self.change()):
            assert self.deleted
            return
        assert not self.deleted
        self.texts[new] = None
        if grace_s is not None:
            end = self.now + grace_s
            self.tables[which].end_replaced(KEY.id, end, self.change())
            self.texts = {
                text: until if text == new else end if until is None else min(until, end)
                for text, until in self.texts.items()
            }

    @rule(which=st.integers(0, 1))
    def rotate_in_vain(self, which: int) -> None:
        """Its text could not be printed."""
        table, before = self.tables[which], self.tables[which].find(KEY.id)
        if before and table.rotate(KEY.id, LOST, "", self.change()):
            table.take_back(KEY.id, LOST, before.digest, self.change())
            assert asyncio.run(table.key(LOST)) is None

    @rule(which=st.integers(0, 1), disabled=st.booleans())
    def disable(self, which: int, disabled: bool) -> None:
        self.tables[which].change(KEY.id, lambda key: replace(key, disabled=disabled), self.change())
        self.disabled = self.disabled if self.deleted else disabled

    @rule(which=st.integers(0, 1))
    def update(self, which: int) -> None:
        self.tables[which].change(
            KEY.id,
            lambda key: replace(key, requests_per_minute=(key.requests_per_minute or 0) + 1),
            self.change(),
        )
        self.rpm += not self.deleted

    @rule(which=st.integers(0, 1))
    def delete(self, which: int) -> None:
        self.tables[which].delete(KEY.id, self.now + 90 * DAY_S, self.change())
        self.deleted = True

    @rule(which=st.integers(0, 1))
    def restore(self, which: int) -> None:
        self.tables[which].restore(KEY.id, self.change())
        self.deleted = False

    @rule(passed_s=st.sampled_from([1, 60, 7200]))
    def wait(self, passed_s: int) -> None:
        self.now += passed_s

    @invariant()
    def the_texts_are_those_of_the_model(self) -> None:
        for digest, until in self.texts.items():
            key = asyncio.run(self.tables[0].key(digest))
            accepted = key is not None and (key.replaced_at is None or key.replaced_at > self.now)
            assert accepted == (until is None or until > self.now)
            if key and accepted:
                assert (key.digest, key.disabled, key.requests_per_minute) == (
                    digest,
                    self.disabled,
                    self.rpm,
                )
                assert (key.deleted_at is not None) == self.deleted


@pytest.mark.nightly
@pytest.mark.usefixtures("_environment")
def test_the_texts_of_a_key_are_valid_as_a_simple_model_says() -> None:
    Texts.TestCase.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)
    Texts.TestCase("runTest").runTest()


def test_commands_at_the_same_time_all_change_the_key(server_url: str) -> None:
    table = KeyTable(NAME, endpoint_url=server_url, aws=Aws(Boto(region=REGION)))
    table.add(KEY)

    def tag(number: int) -> None:
        one = KeyTable(NAME, endpoint_url=server_url, aws=Aws(Boto(region=REGION)))
        one.change(KEY.id, lambda key: replace(key, tags=key.tags | {f"tag {number}"}), a_change())
        one.rotate(KEY.id, f"{number:064x}", "", a_change("rotate"))

    list(in_parallel(tag, range(6)))
    key = table.find(KEY.id)
    assert key
    assert key.tags == {f"tag {number}" for number in range(6)}
    assert len(table.history(KEY.id)) == 12
    assert len(table.replaced(KEY.id)) == 6
    assert all(found(table, text.digest) for text in table.replaced(KEY.id))
