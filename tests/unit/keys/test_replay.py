"""Usage records in logs."""

import json

import pytest

from functions.keys.replay import Replay, records_in
from functions.shared.metrics import Metrics
from tests.unit.keys.store import NOW, MemoryStore, a_key, a_record

RECORD = a_record()
LINE = RECORD.to_json()
METRICS: list[str] = []
Metrics("ChatbotApi", METRICS.append).write_request(RECORD)


def with_members(**members: object) -> str:
    return json.dumps({"usage": {**json.loads(LINE)["usage"], **members}})


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        LINE + "\n",
        json.dumps(json.loads(LINE), indent=1).replace("\n", " "),
        f"2026-11-25T02:00:00.001000+00:00 2026/11/25/[$LATEST]ab {LINE}",
        f"[INFO]\t2026-11-25T02:00:00.001Z\treq\t{LINE}",
        f"chat | {LINE} and more",
        json.dumps({"timestamp": "2026-11-25T02:00:00Z", "level": "INFO", "message": LINE}),
        json.dumps({"message": json.dumps(json.loads(LINE))}),
        f"2026-11-25T02:00:00 2026/11/25/[$LATEST]ab {json.dumps({'level': 'INFO', 'message': LINE})}",
        f'            "message": {json.dumps(LINE + chr(10))},',
        with_members(made_later="x"),
    ],
)
def test_a_record_is_found_wherever_a_log_puts_it(line: str) -> None:
    assert records_in(line) == [RECORD]


def test_a_line_may_hold_several() -> None:
    other = a_record(2)
    assert records_in(f"{LINE}\t{other.to_json()}\n") == [RECORD, other]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "START RequestId: 8f507cfc Version: $LATEST",
        *METRICS,
        '{"id":"x","usage":{"prompt_tokens":1}}',
        '{"usage":"of something else"}',
        '{"usage":null}',
        "\0\ufffd",
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_other_lines_are_not_ours(line: str) -> None:
    assert records_in(line) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE[:-10], "the line breaks off"),
        ('{"usage":{}}', "members are missing"),
        ('{"usage":{"request_id":1}}', "`request_id` is of the wrong kind"),
        pytest.param('{"usage":{"a":' + "[" * 100_000, "the line breaks off", id="deep"),
        pytest.param(LINE.replace("12.5", "9" * 5000), "the line breaks off or is something", id="digits"),
        ('{\\"usage\\":{\\"request_id', "in a member `message`"),
        (json.dumps({"text": LINE}), "in a member `message`"),
        (with_members(outcome="fine"), "`outcome` is of the wrong kind"),
        (with_members(outcome=["ok"]), "`outcome` is of the wrong kind"),
        (with_members(prompt_tokens=-1), "`prompt_tokens` is of the wrong kind"),
        (with_members(prompt_tokens=10**16), "`prompt_tokens` is of the wrong kind"),
        pytest.param(with_members(started_at=10**400), "`started_at` is of the wrong kind", id="400"),
        (with_members(started_at=10**18), "`started_at` is of the wrong kind"),
        (with_members(duration_ms=1e300), "`duration_ms` is of the wrong kind"),
        ('{"usage":{},"usage":3}', "members are missing"),
        (with_members(model="x" * 257), "`model` is too long or not printable"),
        (with_members(request_id="a\0b"), "`request_id` is too long or not printable"),
        (with_members(key_id="\ud800"), "`key_id` is too long or not printable"),
        (with_members(started_at=1.5), "`started_at` is of the wrong kind"),
        (LINE.replace("12.5", "NaN"), "`duration_ms` is of the wrong kind"),
    ],
)
def test_a_malformed_record_is_explained_without_its_text(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        records_in(line)
    assert not isinstance(refused.value, json.JSONDecodeError)
    assert "req_0" not in str(refused.value)


def replay_into(store: MemoryStore, *lines: str) -> Replay:
    replay = Replay(store.put_usage, lambda key_id: key_id in store.keys, NOW)
    replay.read(lines)
    return replay


def test_a_malformed_record_does_not_stop_the_rest() -> None:
    store = MemoryStore({RECORD.key_id: a_key()})
    done = replay_into(store, "START\n", LINE + "\n", LINE[:-9] + "\n", "END\n", a_record(2).to_json())
    assert list(store.records.values()) == [RECORD, a_record(2)]
    assert {kind: number for kind, number in done.counts.items() if number} == {
        "written": 2,
        "skipped": 2,
        "malformed": 1,
    }
    assert [number for number, _ in done.mistakes] == [3]


def test_mistakes_beyond_20_are_counted() -> None:
    done = replay_into(MemoryStore(), *['{"usage":{}}'] * 50)
    assert done.counts["malformed"] == done.left_out == 50
    assert [number for number, _ in done.mistakes] == list(range(1, 21))


DAY_MS = 86_400_000
NOW_MS = int(NOW * 1000)


@pytest.mark.parametrize(
    ("members", "kind", "reason"),
    [
        (
            {"started_at": 1},
            "impossible_times",
            "from 2020 to tomorrow, but it is of 1970-01-01T00:00:00.001Z.",
        ),
        ({"started_at": 1_577_836_799_999}, "impossible_times", "it is of 2019-12-31"),
        ({"started_at": NOW_MS + DAY_MS + 1}, "impossible_times", "it is of 2026-11-26T02:00:00.001Z."),
        ({"started_at": 2 * 10**14}, "impossible_times", "it is of 8307-"),
        (
            {"started_at": NOW_MS - 90 * DAY_MS - 1},
            "too_old",
            "last 90 days, but it is of 2026-08-27: older ones",
        ),
        ({"key_id": "key_1f2e"}, "unknown_keys", "there is none key_1f2e."),
        (
            {"key_id": "sk-secret"},
            "unknown_keys",
            "Expected the id of a key of this table, but there is none.",
        ),
    ],
)
def test_what_cannot_be_true_is_left_out_and_explained(
    members: dict[str, object], kind: str, reason: str
) -> None:
    store = MemoryStore({RECORD.key_id: a_key()})
    done = replay_into(store, with_members(**members), LINE)
    assert (done.counts[kind], done.left_out, list(store.records.values())) == (1, 1, [RECORD])
    ((line, text),) = done.mistakes
    assert line == 1
    assert reason in text
    assert "secret" not in text


@pytest.mark.parametrize("started_at", [NOW_MS - 90 * DAY_MS, NOW_MS + DAY_MS])
def test_what_may_be_true_is_written_and_what_is_there_is_counted_apart(started_at: int) -> None:
    store = MemoryStore({RECORD.key_id: a_key()})
    line = with_members(started_at=started_at)
    done = replay_into(store, line, line)
    assert (done.counts["written"], done.counts["already_there"], done.left_out) == (1, 1, 0)
