"""What each command does with the table, and what it prints."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from functions.keys.group import Result
from functions.keys.selection import select
from functions.keys.stored_keys import Listed
from functions.shared.key_items import Replaced
from functions.shared.key_text import check_key, digest
from functions.shared.keys import Key
from functions.shared.limits import Counts, Running
from tests.unit.keys.store import ACTOR, DAY_S, NOW, MemoryStore, a_key, a_record, invoke, printed

LIMITS: dict[str, Any] = {"requests_per_minute": 60, "tokens_per_minute": 20000, "budget_tokens": 1000000}
GIVEN = ("--rpm", "60", "--tpm", "20000", "--budget-tokens", "1000000")
ONCE = """\
  sk-NEW

Keep it now: it is not shown again, and only its SHA-256 is stored."""


def store_of(*keys: Any) -> MemoryStore:
    return MemoryStore({key.id: key for key in keys})


def shown(result: Result) -> str:
    """Return the text with made-up ids and keys, once it is clear that JSON can be made."""
    assert json.dumps(result.data)
    return re.sub(r"sk-\w{49}", "sk-NEW", re.sub(r"key_[0-9a-f]{16}", "key_ID", printed(result)))


def test_a_key_is_made_and_shown_once() -> None:
    store = store_of()
    result = invoke(
        store, "create", "--name", "alice", "--models", "default,default", "--expires", "90d", *GIVEN
    )
    (key,) = store.keys.values()
    check_key(result.data["key"])
    assert key.digest == digest(result.data["key"])
    assert key.hint == "sk-…" + result.data["key"][-4:]
    assert (key.name, key.models, key.disabled) == ("alice", frozenset({"default"}), False)
    assert (key.requests_per_minute, key.tokens_per_minute, key.budget_tokens) == (60, 20000, 1000000)
    assert (key.created_at, key.expires_at) == (NOW, NOW + 90 * DAY_S)
    assert printed(result).count(result.data["key"]) == 1
    assert shown(result) == f"Created key_ID (alice).\n\n{ONCE}"
    assert result.data == {
        "key": result.data["key"],
        "id": key.id,
        "name": "alice",
        "hint": key.hint,
        "status": "active",
        "models": ["default"],
        "concurrent": None,
        **LIMITS,
        "budget_period": None,
        "budget_timezone": "UTC",
        "extra_tokens": 0,
        "extra_period": None,
        "on_outage": "open",
        "note": "",
        "tags": [],
        "created_at": "2026-11-25T02:00:00Z",
        "created_by": "carol",
        "changed_at": None,
        "changed_by": None,
        "expires_at": "2027-02-23T02:00:00Z",
        "deleted_at": None,
        "kept_until": None,
    }


def test_two_keys_are_never_alike() -> None:
    store = store_of()
    results = [invoke(store, "create", "--name", "alice", "--same-name") for _ in range(2)]
    assert len({result.data["key"] for result in results}) == len(store.keys) == 2
    assert all(result.data["models"] == [] and result.data["expires_at"] is None for result in results)


def test_keys_are_listed_by_name() -> None:
    store = store_of(
        a_key(3, name="Zoe", models=frozenset({"small", "default"}), disabled=True),
        a_key(2, expires_at=int(NOW) + DAY_S, tags=frozenset({"b", "a"}), **LIMITS),
        a_key(1, name="bob", expires_at=int(NOW), requests_per_minute=5),
    )
    store.counted[a_key(2).id] = Counts(window=0, spent=12345, used_at=int(NOW) - 7200)
    result = invoke(store, "list")
    assert [line.split("  ") for line in re.sub("  +", "  ", printed(result)).splitlines()] == [
        [
            *("ID", "NAME", "KEY", "STATUS", "EXPIRES (UTC)", "RPM", "TPM", "BUDGET", "LEFT", "USED"),
            *("TAGS", "MODELS"),
        ],
        [
            *("key_0000000000000002", "alice", "sk-…Ab3d", "active", "2026-11-26 02:00", "60", "20,000"),
            *("1M", "987,655", "2h ago", "a, b", "-"),
        ],
        [
            *("key_0000000000000001", "bob", "sk-…Ab3d", "expired", "2026-11-25 02:00", "5", "-"),
            *("-", "-", "-", "-", "-"),
        ],
        [
            *("key_0000000000000003", "Zoe", "sk-…Ab3d", "disabled", "-", "-", "-"),
            *("-", "-", "-", "-", "default, small"),
        ],
    ]
    assert [key["status"] for key in result.data] == ["active", "expired", "disabled"]
    assert [key["budget_left"] for key in result.data] == [987655, None, None]
    assert [key["last_used_at"] for key in result.data] == ["2026-11-25T00:00:00Z", None, None]


def test_a_key_that_ends_at_midnight_is_listed_with_the_time() -> None:
    store = store_of(a_key(expires_at=1796083200, budget_tokens=1234567, budget_period="month"))
    result = invoke(store, "list")
    assert "2026-12-01 00:00" in printed(result)
    assert "1,234,567/month" in printed(result)


def test_an_empty_list_says_what_to_do() -> None:
    result = invoke(store_of(), "list")
    assert printed(result) == "No keys yet. Make the first: python -m functions.keys create --name alice"
    assert result.data == []


def test_a_budget_of_a_time_zone_that_is_unknown_here_is_shown_as_it_counts() -> None:
    key = a_key(budget_tokens=9, budget_period="day", budget_timezone="Mars/Base")
    assert "begins again 2026-11-26 00:00 UTC (in 22 hours)" in printed(
        invoke(store_of(key), "show", "alice")
    )


def test_all_that_is_known_of_a_key_is_shown() -> None:
    key = a_key(
        models=frozenset({"small", "default"}),
        expires_at=int(NOW) + 90 * DAY_S,
        concurrent=4,
        budget_period="month",
        budget_timezone="Europe/Berlin",
        extra_tokens=500000,
        extra_period="month:20261101",
        note="for the demo",
        tags=frozenset({"team-a", "pilot"}),
        on_outage="closed",
        created_by="assumed-role/Admin/alice",
        changed_at=int(NOW) - 3600,
        changed_by="bob@host",
        **LIMITS,
    )
    store = store_of(key)
    running = Running("req_1", "tiny", tokens=40, most=90, prompt=50, started_at=0, expires_at=int(NOW) + 900)
    store.counted[key.id] = Counts(
        window=int(NOW // 60),
        requests=2,
        tokens=900,
        spent=123456,
        periods={"month": (20261101, 12345)},
        running={"req_1": running},
        used_at=int(NOW),
    )
    store.texts[key.id] = [
        Replaced("1", int(NOW) - 1, "sk-…1111"),
        Replaced("2", int(NOW) + DAY_S, "sk-…2222"),
        Replaced("3", None, "sk-…3333"),
    ]
    result = invoke(store, "show", "alice", now=NOW + 60)
    assert (
        printed(result)
        == """\
id            key_0000000000000001
name          alice
key           sk-…Ab3d (the whole key is stored nowhere)
earlier keys  sk-…2222 is accepted, too, until 2026-11-26 02:00 UTC; sk-…3333 is accepted, too; \
once the newer key is in use, end it: python -m functions.keys rotate key_0000000000000001 --finish
status        active
models        default, small
requests      60 a minute; 58 left, all of them in 60 s
tokens        20,000 a minute; 19,100 left, all of them in 60 s
at once       4 requests
running       1 request, 90 tokens reserved
budget        1,000,000 tokens a month, and 500,000 more in this one; 12,345 spent, 1,487,655 left; \
begins again 2026-12-01 00:00 Europe/Berlin (in 6 days)
spent         123,456 tokens since it was created
on outage     closed: requests are refused while limits cannot be counted
note          for the demo
tags          pilot, team-a
created       2026-11-25 02:00 UTC by assumed-role/Admin/alice
changed       2026-11-25 01:00 UTC by bob@host
last used     2026-11-25 02:00 UTC (1m ago)
expires       2027-02-23 02:00 UTC (in 90 days)"""
    )
    expected = {
        "earlier_keys": [
            {"hint": "sk-…2222", "accepted_until": "2026-11-26T02:00:00Z"},
            {"hint": "sk-…3333", "accepted_until": None},
        ],
        "requests_left": 58,
        "requests_reset_in_s": 60.0,
        "tokens_left": 19100,
        "tokens_reset_in_s": 60.0,
        "budget": 1500000,
        "budget_left": 1487655,
        "budget_resets_at": "2026-11-30T23:00:00Z",
        "spent_tokens": 123456,
        "running_requests": 1,
        "reserved_tokens": 90,
        "last_used_at": "2026-11-25T02:00:00Z",
    }
    assert {name: result.data[name] for name in expected} == expected
    assert key.digest not in printed(result) + json.dumps(result.data)


def test_a_key_without_limits_is_shown() -> None:
    store = store_of(a_key(expires_at=int(NOW) - 7200, disabled=True))
    lines = printed(invoke(store, "show", "alice")).splitlines()
    assert lines[3:] == [
        "status     disabled",
        "models     all",
        "requests   no limit",
        "tokens     no limit",
        "at once    no limit",
        "running    0 requests, 0 tokens reserved",
        "budget     no limit",
        "spent      0 tokens since it was created",
        "on outage  open: requests are accepted while limits cannot be counted",
        "created    2026-11-25 02:00 UTC",
        "last used  never",
        "expires    2026-11-25 00:00 UTC (2 hours ago)",
    ]


def test_a_deleted_key_is_shown_with_the_time_for_which_it_is_kept() -> None:
    key = a_key(deleted_at=int(NOW), kept_until=int(NOW) + 90 * DAY_S)
    shown = printed(invoke(store_of(key), "show", "alice"))
    assert "\nstatus     deleted 2026-11-25 02:00 UTC, kept until 2027-02-23 02:00 UTC\n" in shown


def test_an_overdrawn_budget_has_nothing_left() -> None:
    store = store_of(key := a_key(budget_tokens=100))
    store.counted[key.id] = Counts(window=0, spent=130)
    assert "budget     100 tokens; 130 spent, 0 left" in printed(invoke(store, "show", "alice"))


def test_the_history_says_who_changed_what_and_when() -> None:
    store = store_of()
    first = invoke(store, "create", "--name", "alice", "--rpm", "60").data["id"]
    invoke(store, "create", "--name", "bob", now=NOW + 1)
    invoke(store, "update", "alice", "--rpm", "120", "--note", "more", now=NOW + 60, KEYS_ACTOR="dave")
    invoke(store, "disable", "alice", now=NOW + 120)
    result = invoke(store, "history", "alice", now=NOW + 180)
    rows = [re.split("  +", line) for line in printed(result).splitlines()]
    assert rows[0] == ["WHEN (UTC)", "WHO", "COMMAND", "WHAT"]
    assert [row[:3] for row in rows[1:]] == [
        ["2026-11-25 02:02", ACTOR, "disable"],
        ["2026-11-25 02:01", "dave", "update"],
        ["2026-11-25 02:00", ACTOR, "create"],
    ]
    assert rows[1][3:] == ["disabled no -> yes"]
    assert rows[2][3:] == ["rpm 60 -> 120, note -> more"]
    assert result.data[1]["changed"] == {
        "requests_per_minute": {"old": 60, "new": 120},
        "note": {"old": "", "new": "more"},
    }
    all_keys = invoke(store, "history", now=NOW + 180)
    assert re.split("  +", printed(all_keys).splitlines()[1])[3:] == [first, "alice", "disabled no -> yes"]
    everyone = all_keys.data
    assert [(each["name"], each["command"]) for each in everyone] == [
        ("alice", "disable"),
        ("alice", "update"),
        ("bob", "create"),
        ("alice", "create"),
    ]
    late = invoke(store, "history", "--since", "90s", now=NOW + 180).data
    assert [each["command"] for each in late] == ["disable"]
    none = printed(invoke(store, "history", "--since", "2m", now=NOW + 900))
    assert none == "No changes since 2026-11-25. Go further back with --since 365d."


def test_a_key_is_disabled_and_enabled() -> None:
    store = store_of(a_key())
    disabled = invoke(store, "disable", "alice")
    assert store.keys[a_key().id].disabled
    assert disabled.data["status"] == "disabled"
    assert (
        shown(disabled)
        == """\
Disabled key_ID (alice). It is refused within 30 s everywhere.
To accept it again: python -m functions.keys enable key_ID"""
    )
    enabled = invoke(store, "enable", "alice")
    assert not store.keys[a_key().id].disabled
    assert enabled.data["status"] == "active"
    assert shown(enabled) == "Enabled key_ID (alice). It is accepted within 30 s everywhere."


def test_an_expired_key_stays_refused() -> None:
    store = store_of(a_key(expires_at=int(NOW), disabled=True))
    assert (
        shown(invoke(store, "enable", "alice"))
        == """\
Enabled key_ID (alice), but it expired on 2026-11-25 02:00 UTC and is still refused.
To accept it again: python -m functions.keys update key_ID --expires 90d"""
    )


def finished(result: Result) -> str:
    """Complete what waits until a key's text has been printed; return what is printed then."""
    assert result.new_text
    return result.new_text.finish()


def test_a_rotated_key_gets_another_text_before_the_old_one_ends() -> None:
    old = a_key(**LIMITS)
    store = store_of(old)
    result = invoke(store, "rotate", "alice")
    (new,) = store.keys.values()
    assert (new.id, new.name, new.budget_tokens) == (old.id, old.name, old.budget_tokens)
    assert new.digest == digest(result.data["key"]) != old.digest
    assert new.hint == "sk-…" + result.data["key"][-4:]
    assert result.data["earlier_until"] == "2026-11-25T02:00:00Z"
    assert shown(result) == f"Rotated key_ID (alice).\n\n{ONCE}"
    assert [(each.digest, each.until) for each in store.texts[old.id]] == [(old.digest, None)]
    said = finished(result)
    assert said == f"\nWhat {old.id} (alice) had before is refused within 30 s everywhere."
    assert store.texts[old.id] == []


def test_a_rotated_keys_old_text_is_accepted_for_the_grace_period() -> None:
    old = a_key()
    store = store_of(old)
    result = invoke(store, "rotate", "alice", "--grace", "24h")
    assert result.data["earlier_until"] == "2026-11-26T02:00:00Z"
    assert finished(result) == (
        f"\nWhat {old.id} (alice) had before is accepted until 2026-11-26 02:00 UTC at most."
        f" To end it earlier: python -m functions.keys rotate {old.id} --finish"
    )
    assert [(each.digest, each.until) for each in store.texts[old.id]] == [(old.digest, NOW + DAY_S)]
    ended = invoke(store, "rotate", "alice", "--finish")
    assert printed(ended) == f"What {old.id} (alice) had before is refused within 30 s everywhere."
    assert ended.data["id"] == old.id
    assert ended.new_text is None
    assert store.texts[old.id] == []
    assert store.keys[old.id].digest == digest(result.data["key"])
    nothing = invoke(store, "rotate", "alice", "--finish")
    assert printed(nothing) == f"Nothing was changed: {old.id} (alice) has no earlier text that is accepted."


@pytest.mark.parametrize(
    ("members", "status"), [({"disabled": True}, "disabled"), ({"expires_at": 1}, "expired")]
)
def test_a_rotated_key_that_is_refused_anyway_is_reported(members: dict[str, Any], status: str) -> None:
    said = finished(invoke(store_of(a_key(**members)), "rotate", "alice"))
    assert said.endswith(
        f"\nIt is {status}, and refused as long as it is: python -m functions.keys show {a_key().id}"
    )


@pytest.mark.parametrize("command", ["disable", "enable", "rotate"])
def test_a_key_that_vanishes_in_between(command: str) -> None:
    class Vanishing(MemoryStore):
        def listed(self) -> list[Any]:
            return [Listed(a_key().id, "alice", "", deleted=False)]

    with pytest.raises(click.ClickException, match="was removed just now"):
        invoke(Vanishing(), command, "alice")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "function.log"


def test_a_log_is_replayed_twice_and_counts_once(log: Path) -> None:
    store = store_of(a_key())
    lost = a_record(3, key_id="key_1f2e")
    log.write_text(
        "\n".join(["START", a_record(1).to_json(), '{"usage":{}}', a_record(2).to_json(), lost.to_json()])
    )
    reasons = [
        (3, "Expected a usage record, but members are missing."),
        (5, "Expected the id of a key of this table, but there is none key_1f2e."),
    ]
    for written, there in ((2, 0), (0, 2)):
        result = invoke(store, "replay", str(log))
        assert (
            result.text
            == f"""\
Wrote {written} usage records; each counts once, however often it is replayed.
Already there: {there}. Not written: 1 of unknown keys.
Skipped 1 other line and 1 malformed record."""
        )
        assert result.warnings == [f"line {line}: {reason}" for line, reason in reasons]
        assert result.data == {
            "written": written,
            "already_there": there,
            "unknown_keys": 1,
            "impossible_times": 0,
            "too_old": 0,
            "malformed": 1,
            "skipped": 1,
            "mistakes": [{"line": line, "reason": reason} for line, reason in reasons],
        }
    assert invoke(store, "usage", "alice", now=NOW + 1).data["rows"][0]["requests"] == 2


def test_what_its_stage_keeps_decides_which_records_are_too_old(log: Path) -> None:
    log.write_text(a_record(started_at=int(NOW - 100 * DAY_S) * 1000).to_json())
    refused = invoke(store_of(a_key()), "replay", str(log))
    assert printed(refused).splitlines()[1] == "Already there: 0. Not written: 1 older than 90 days."
    assert invoke(store_of(a_key()), "replay", str(log), KEEP_RECORDS_DAYS="400").data["written"] == 1
    with pytest.raises(click.UsageError, match="KEEP_RECORDS_DAYS: expected a whole number"):
        invoke(store_of(a_key()), "replay", str(log), KEEP_RECORDS_DAYS="long")


def test_a_log_without_records(log: Path) -> None:
    log.touch()
    result = invoke(store_of(), "replay", str(log))
    assert printed(result).startswith("Wrote 0 usage records")
    assert not result.warnings


def test_many_malformed_records_are_counted(log: Path) -> None:
    log.write_text('{"usage":{}}\n' * 1020)
    warnings = invoke(store_of(), "replay", str(log)).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "and 1,000 more."


# which key is meant

ALICE = a_key(0x1F2E << 48)
BOB = a_key(0x1F3D << 48, name="bob")
KEYS = (ALICE, BOB)


def refusal(keys: Sequence[Key], which: str) -> str:
    with pytest.raises(click.ClickException) as refused:
        select(store_of(*keys), which)
    return refused.value.message


@pytest.mark.parametrize("which", ["alice", "key_1f2e", "key_1f2e000000000000"])
def test_an_id_its_beginning_and_the_name_stand_for_a_key(which: str) -> None:
    assert select(store_of(*KEYS), which) is ALICE


def test_a_whole_id_wins_over_a_name() -> None:
    named = a_key(7, name=ALICE.id)
    assert select(store_of(named, *KEYS), ALICE.id) is ALICE


def test_what_stands_for_two_lists_both() -> None:
    assert (
        refusal(KEYS, "key_1f")
        == """\
Expected one key, but 'key_1f' stands for 2. Give an id:
  key_1f2e000000000000  sk-…Ab3d  alice
  key_1f3d000000000000  sk-…Ab3d  bob"""
    )
    assert "'alice' stands for 2" in refusal([*KEYS, a_key(7)], "alice")
    assert "'key_1f2e' stands for 2" in refusal([*KEYS, a_key(7, name="key_1f2e")], "key_1f2e")


@pytest.mark.parametrize("which", ["Alice", "ali", "1f2e", "key_2", "key_1f2e0000000000000"])
def test_what_stands_for_none_lists_what_there_is(which: str) -> None:
    first, *listed = refusal(KEYS, which).splitlines()
    assert first == f"No key has the id or the name {which!r}. There are:"
    assert [line.split()[2] for line in listed] == ["alice", "bob"]


def test_a_long_list_ends_early() -> None:
    lines = refusal([a_key(number) for number in range(1500)], "bob").splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  … and 1,490 more: python -m functions.keys list"


def test_without_keys_it_says_how_to_make_one() -> None:
    said = refusal([], "bob")
    assert re.search(r"there are none\. Make the first: .* create --name alice", said)
