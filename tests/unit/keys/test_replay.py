"""Usage records in logs."""

import json

import pytest

from functions.keys.replay import Replay, records_in
from functions.shared.metrics import Metrics
from functions.shared.usage import UsageRecord
from tests.unit.keys.store import a_record

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
        ('{\\"usage\\":{\\"request_id', "Expected a line of JSON around"),
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


def test_a_malformed_record_does_not_stop_the_rest() -> None:
    put: list[UsageRecord] = []
    replay = Replay()
    replay.read(["START\n", LINE + "\n", LINE[:-9] + "\n", "END\n", a_record(2).to_json()], put.append)
    assert put == [RECORD, a_record(2)]
    assert (replay.records, replay.other_lines, replay.malformed_lines) == (2, 2, 1)
    assert [number for number, _ in replay.mistakes] == [3]


def test_mistakes_beyond_20_are_counted() -> None:
    replay = Replay()
    replay.read(['{"usage":{}}'] * 50, print)
    assert replay.malformed_lines == 50
    assert [number for number, _ in replay.mistakes] == list(range(1, 21))
