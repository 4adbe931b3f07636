"""What each command does with the table, and what it says."""

import json
import re
from typing import Any

import pytest

from functions.keys import commands
from functions.keys.commands import Answer
from functions.keys.errors import CommandFailed
from functions.keys.tables import WIDTH
from functions.shared.key_text import check_key, digest
from functions.shared.keys import KeysUnavailable
from functions.shared.usage import NONE
from tests.unit.keys.store import DAY_S, NOW, MemoryStore, a_key, a_record

LIMITS: dict[str, Any] = {"requests_per_minute": 60, "tokens_per_minute": 20000, "budget_tokens": 1000000}
ONCE = """\
  sk-NEW

Keep it now: it is not shown again, and only its SHA-256 is stored."""


def store_of(*keys: Any) -> MemoryStore:
    return MemoryStore({key.id: key for key in keys})


def told(answer: Answer) -> str:
    """Return the text with made-up ids and keys, once it is clear that it fits and JSON can be made."""
    assert json.dumps(answer.data)
    assert all(len(line) <= WIDTH for line in answer.text.splitlines())
    return re.sub(r"sk-\w{49}", "sk-NEW", re.sub(r"key_[0-9a-f]{16}", "key_ID", answer.text))


def test_a_key_is_made_and_shown_once() -> None:
    store = store_of()
    answer = commands.create(
        store, NOW, name="alice", models=["default", "default"], expires_at=int(NOW) + 90 * DAY_S, **LIMITS
    )
    (key,) = store.keys.values()
    check_key(answer.data["key"])
    assert key.digest == digest(answer.data["key"])
    assert key.hint == "sk-…" + answer.data["key"][-4:]
    assert (key.name, key.models, key.disabled) == ("alice", frozenset({"default"}), False)
    assert (key.requests_per_minute, key.tokens_per_minute, key.budget_tokens) == (60, 20000, 1000000)
    assert (key.created_at, key.expires_at) == (NOW, NOW + 90 * DAY_S)
    assert answer.text.count(answer.data["key"]) == 1
    assert told(answer) == f"Created key_ID (alice).\n\n{ONCE}"
    assert answer.data == {
        "key": answer.data["key"],
        "id": key.id,
        "name": "alice",
        "hint": key.hint,
        "status": "active",
        "models": ["default"],
        **LIMITS,
        "created_at": "2026-11-25T02:00:00Z",
        "expires_at": "2027-02-23T02:00:00Z",
    }


def test_two_keys_are_never_alike() -> None:
    store = store_of()
    answers = [commands.create(store, NOW, name="alice") for _ in range(2)]
    assert len({answer.data["key"] for answer in answers}) == len(store.keys) == 2
    assert all(answer.data["models"] == [] and answer.data["expires_at"] is None for answer in answers)


def test_keys_are_listed_by_name() -> None:
    store = store_of(
        a_key(3, name="zoe", models=frozenset({"small", "default"}), disabled=True),
        a_key(2, expires_at=int(NOW) + DAY_S, **LIMITS),
        a_key(1, name="bob", expires_at=int(NOW), requests_per_minute=5),
    )
    answer = commands.list_keys(store, NOW)
    assert (
        answer.text
        == """\
ID                    NAME   KEY       STATUS            RPM     TPM     BUDGET  MODELS
key_0000000000000002  alice  sk-…Ab3d  until 2026-11-26   60  20,000  1,000,000  all
key_0000000000000001  bob    sk-…Ab3d  expired             5       -          -  all
key_0000000000000003  zoe    sk-…Ab3d  disabled            -       -          -  default, small"""
    )
    assert [key["status"] for key in answer.data] == ["active", "expired", "disabled"]


def test_a_list_of_the_longest_there_can_be_fits() -> None:
    most = dict.fromkeys(LIMITS, 10**15)
    models = frozenset({"a-model-with-a-long-name", "another"})
    answer = commands.list_keys(
        store_of(a_key(name="n" * 64, models=models, expires_at=int(NOW) + 1, **most)), NOW
    )
    assert told(answer).splitlines()[1] == (
        "key_ID  nnnnnnnnnnnn…  sk-…Ab3d  until 2026-11-25  1000T  1000T   1000T  a-model-with…"
    )


def test_an_empty_list_says_what_to_do() -> None:
    answer = commands.list_keys(store_of(), NOW)
    assert answer.text == "No keys yet. Make the first: python -m functions.keys create --name alice"
    assert answer.data == []


def test_all_that_is_known_of_a_key_is_shown() -> None:
    key = a_key(models=frozenset({"small", "default"}), expires_at=int(NOW) + 90 * DAY_S, **LIMITS)
    store = store_of(key)
    store.tokens_spent[key.id] = 12345
    answer = commands.show(store, "alice", NOW + 60)
    assert (
        answer.text
        == """\
id        key_0000000000000001
name      alice
key       sk-…Ab3d (the whole key is kept nowhere)
status    active
models    default, small
requests  60 a minute
tokens    20,000 a minute
budget    1,000,000 tokens; 12,345 spent, 987,655 left
created   2026-11-25 02:00 UTC
expires   2027-02-23 02:00 UTC (in 90 days)"""
    )
    assert answer.data["spent_tokens"] == 12345
    assert key.digest not in answer.text + json.dumps(answer.data)


def test_a_key_without_limits_is_shown() -> None:
    store = store_of(a_key(expires_at=int(NOW) - 7200, disabled=True))
    lines = commands.show(store, "alice", NOW).text.splitlines()
    assert lines[3:8] == [
        "status    disabled",
        "models    all",
        "requests  no limit",
        "tokens    no limit",
        "budget    no limit",
    ]
    assert lines[9] == "expires   2026-11-25 00:00 UTC (2 hours ago)"


def test_an_overdrawn_budget_has_nothing_left() -> None:
    key = a_key(budget_tokens=100)
    store = store_of(key)
    store.tokens_spent[key.id] = 130
    assert "budget    100 tokens; 130 spent, 0 left" in commands.show(store, "alice", NOW).text


def test_a_key_is_disabled_and_enabled() -> None:
    store = store_of(a_key())
    disabled = commands.disable(store, "alice", NOW)
    assert store.keys[a_key().id].disabled
    assert disabled.data["status"] == "disabled"
    assert (
        told(disabled)
        == """\
Disabled key_ID (alice). It is refused within 30 s everywhere.
To let it in again: python -m functions.keys enable key_ID"""
    )
    enabled = commands.enable(store, "alice", NOW)
    assert not store.keys[a_key().id].disabled
    assert enabled.data["status"] == "active"
    assert told(enabled) == "Enabled key_ID (alice). It is let in within 30 s everywhere."


def test_an_expired_key_stays_refused() -> None:
    store = store_of(a_key(expires_at=int(NOW), disabled=True))
    assert (
        told(commands.enable(store, "alice", NOW))
        == """\
Enabled key_ID (alice), but it expired on 2026-11-25 02:00 UTC and is still refused.
Make another: python -m functions.keys create -h"""
    )


def test_a_rotated_key_has_another_text_alone() -> None:
    old = a_key(**LIMITS)
    store = store_of(old)
    answer = commands.rotate(store, "alice", NOW)
    (new,) = store.keys.values()
    assert (new.id, new.name, new.budget_tokens) == (old.id, old.name, old.budget_tokens)
    assert new.digest == digest(answer.data["key"]) != old.digest
    assert new.hint == "sk-…" + answer.data["key"][-4:]
    assert told(answer) == f"Rotated key_ID (alice). The old key is refused within 30 s everywhere.\n\n{ONCE}"


@pytest.mark.parametrize(
    ("members", "status"), [({"disabled": True}, "disabled"), ({"expires_at": 1}, "expired")]
)
def test_a_rotated_key_that_is_refused_anyway_says_so(members: dict[str, Any], status: str) -> None:
    said = told(commands.rotate(store_of(a_key(**members)), "alice", NOW))
    assert said.endswith(
        f"\n\nIt is {status}, and refused as long as it is: python -m functions.keys show key_ID"
    )


@pytest.mark.parametrize("command", [commands.disable, commands.enable, commands.rotate])
def test_a_key_that_vanishes_in_between(command: Any) -> None:
    class Vanishing(MemoryStore):
        def all_keys(self) -> list[Any]:
            return [a_key()]

    with pytest.raises(CommandFailed, match="was removed in this moment"):
        command(Vanishing(), "alice", NOW)


USED = MemoryStore({a_key().id: a_key(), a_key(2).id: a_key(2, name="bob")})
for record in (
    a_record(1, cached_tokens=5),
    a_record(2, model="large", prompt_tokens=1500),
    a_record(3, outcome="cut", started_at=int(NOW - DAY_S) * 1000),
    a_record(4, outcome="error", started_at=int(NOW - 2 * DAY_S) * 1000, completion_tokens=0),
    a_record(5, key_id=a_key(2).id, outcome="timeout"),
    a_record(6, key_id=NONE, model=NONE, outcome="refused", prompt_tokens=0, completion_tokens=0),
    a_record(7, started_at=int(NOW - 40 * DAY_S) * 1000),
):
    USED.put_usage(record)
SINCE = int(NOW - 30 * DAY_S)
LATER = NOW + 1


def test_usage_by_day() -> None:
    answer = commands.usage(USED, None, "day", SINCE, LATER)
    assert (
        answer.text
        == """\
DAY         REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
2026-11-23         1   0    0      1        0        0      10       0           0
2026-11-24         1   0    1      0        0        0      10       0          20
2026-11-25         4   2    0      0        1        1   1,520       5          60
total              6   2    1      1        1        1   1,540       5          80"""
    )
    assert answer.data["rows"][0] == {
        "day": "2026-11-23",
        "requests": 1,
        "ok": 0,
        "cut": 0,
        "error": 1,
        "timeout": 0,
        "refused": 0,
        "prompt_tokens": 10,
        "cached_tokens": 0,
        "completion_tokens": 0,
    }
    assert answer.data["since"] == "2026-10-26T02:00:00Z"
    assert answer.data["until"] == "2026-11-25T02:00:01Z"
    assert (answer.data["by"], answer.data["key"]) == ("day", None)


def test_usage_of_one_key_by_model() -> None:
    answer = commands.usage(USED, "alice", "model", SINCE, LATER)
    assert (
        answer.text
        == """\
MODEL  REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
large         1   1    0      0        0        0   1,500       0          20
tiny          3   1    1      1        0        0      30       5          40
total         4   2    1      1        0        0   1,530       5          60"""
    )
    assert answer.data["key"] == a_key().id


def test_usage_by_key() -> None:
    answer = commands.usage(USED, None, "key", SINCE, LATER)
    assert (
        answer.text
        == """\
KEY                         REQUESTS  OK  CUT  ERROR  TIMEOUT  REFUSED  PROMPT  CACHED  COMPLETION
(no key)                           1   0    0      0        0        1       0       0           0
alice key_0000000000000001         4   2    1      1        0        0   1,530       5          60
bob key_0000000000000002           1   0    0      0        1        0      10       0          20
total                              6   2    1      1        1        1   1,540       5          80"""
    )
    assert [row["key"] for row in answer.data["rows"]] == [NONE, a_key().id, a_key(2).id]


def test_usage_of_one_row_has_no_total() -> None:
    assert len(commands.usage(USED, "bob", "day", SINCE, LATER).text.splitlines()) == 2


def test_usage_counts_from_since_until_now() -> None:
    assert commands.usage(USED, "alice", "day", SINCE, NOW).data["rows"][-1]["day"] == "2026-11-24"
    assert (
        commands.usage(USED, "alice", "day", SINCE - 20 * DAY_S, LATER).data["rows"][0]["day"] == "2026-10-16"
    )


def test_usage_of_the_longest_there_can_be_fits() -> None:
    store = store_of(a_key())
    for number in range(4):
        store.put_usage(
            a_record(
                number,
                model="model-" * 20,
                prompt_tokens=10**15,
                cached_tokens=10**15,
                completion_tokens=10**15,
            )
        )
    assert told(commands.usage(store, "alice", "model", SINCE, LATER)).splitlines()[1] == (
        "model-model-model-model-mod…         4   4    0      0        0        0   4000T   4000T       4000T"
    )


def test_no_usage_says_what_to_do() -> None:
    answer = commands.usage(store_of(a_key()), "alice", "day", SINCE, NOW)
    assert told(answer) == (
        "No usage since 2026-10-26. Go further back with --since, as in --since 365d."
        "\nA request counts as soon as it has been answered."
    )
    assert answer.data["rows"] == []


def test_a_log_is_replayed_twice_and_counts_once() -> None:
    store = store_of(a_key())
    lines = ["START\n", a_record(1).to_json() + "\n", '{"usage":{}}\n', a_record(2).to_json()]
    for _ in range(2):
        answer = commands.replay(store, lines)
        assert (
            answer.text
            == """\
Wrote 2 usage records; each counts once, however often it is replayed.
Skipped 1 other line and 1 malformed record."""
        )
        assert answer.warnings == ["line 3: Expected a usage record, but members are missing."]
        assert answer.data == {
            "written": 2,
            "skipped": 1,
            "malformed": 1,
            "mistakes": [
                {"line": 3, "reason": "Expected a usage record, but members are missing."},
            ],
        }
    assert commands.usage(store, "alice", "day", SINCE, LATER).data["rows"][0]["requests"] == 2


def test_a_log_without_records() -> None:
    answer = commands.replay(store_of(), [])
    assert answer.text.startswith("Wrote 0 usage records")
    assert not answer.warnings


def test_many_malformed_records_are_counted() -> None:
    warnings = commands.replay(store_of(), ['{"usage":{}}'] * 1020).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "and 1,000 more."


def test_a_replay_that_is_broken_off_says_how_far_it_came() -> None:
    store = MemoryStore(failing=KeysUnavailable("ReadTimeoutError"), answered=1)
    with pytest.raises(KeysUnavailable) as broken:
        commands.replay(store, [a_record(1).to_json(), a_record(2).to_json()])
    assert broken.value.__notes__ == [
        "1 usage record was written. Replay the whole log again: each counts once."
    ]
