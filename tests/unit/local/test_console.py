import json
from io import StringIO

import pytest

from functions.keys.replay import records_in
from functions.shared.usage import UsageRecord
from infra.local.console import Console, RequestLine


def test_a_request_is_one_line() -> None:
    line = RequestLine("GET", "/v1/models", began_s=1.0, status=200, first_byte_s=1.0125, bytes_sent=1500)
    assert line.text(2.5) == "GET  /v1/models  200  first byte 12.5 ms  total 1.50 s  1.5 kB"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/models/sk-Ab_3-x", "/v1/models/sk-…"),
        ("/SK-abc/v1/models", "/sk-…/v1/models"),
        ("/v1/models/task-1", "/v1/models/task-1"),
        ("/" + "a" * 1000, "/" + "a" * 299),
    ],
    ids=lambda value: value[:20],
)
def test_a_path_shows_no_key_and_has_an_end(path: str, shown: str) -> None:
    assert f"GET  {shown}  404" in RequestLine("GET", path, began_s=0, status=404).text(1)


def test_a_request_that_ended_early_has_its_outcome() -> None:
    assert (
        RequestLine("POST", "/", began_s=0, outcome="client disconnected").text(0.1)
        == "POST /  -  total 100.0 ms  0 B  client disconnected"
    )


@pytest.mark.parametrize(
    ("counted", "outcome", "shown"),
    [
        ({"outcome": "ok"}, "", "tiny  12+48 tokens"),
        ({"outcome": "error", "code": "upstream_error"}, "", "tiny  12+48 tokens  error upstream_error"),
        ({"outcome": "timeout", "code": "timeout"}, "", "tiny  12+48 tokens  timeout timeout"),
        ({"outcome": "error", "code": None}, "", "tiny  12+48 tokens  error"),
        ({"outcome": "cut"}, "client disconnected", "tiny  12+48 tokens  cut client disconnected"),
        ({"outcome": "ok"}, "crashed: exit status 3", "tiny  12+48 tokens  crashed: exit status 3"),
        (
            {"outcome": "refused", "code": "rate_limit_exceeded", "prompt_tokens": 0, "completion_tokens": 0},
            "",
            "tiny  refused rate_limit_exceeded",
        ),
        (
            {"outcome": "refused", "code": "invalid_type", "model": "-", "prompt_tokens": 0},
            "",
            "refused invalid_type",
        ),
    ],
)
def test_a_line_has_the_model_the_tokens_and_how_a_stream_ended(
    counted: dict[str, object], outcome: str, shown: str
) -> None:
    console = Console(out=(out := StringIO()), log=StringIO(), clock_s=lambda: 1.2)
    show = console.output_of("chat")
    counted = {
        "model": "tiny",
        "prompt_tokens": 12,
        "completion_tokens": 48,
        "request_id": "req_1",
        **counted,
    }
    show(json.dumps({"_aws": {"Timestamp": 1}, **counted}, separators=(",", ":")))
    show('{"_aws":{},"model":"tiny","requests":1}')
    show('{"_aws": broken')
    line = RequestLine(
        "POST", "/v1", 0, "req_1", status=200, first_byte_s=0.041, bytes_sent=3100, outcome=outcome
    )
    console.log_request(line)
    expected = f"POST /v1  200  first byte 41.0 ms  total 1.20 s  3.1 kB  {shown}"
    assert out.getvalue()[len("12:00:00  ") :] == f"{expected}\n"


def test_metrics_of_requests_without_a_line_are_dropped() -> None:
    console = Console(out=StringIO(), log=StringIO())
    show = console.output_of("chat")
    for number in range(1500):
        show(f'{{"_aws":{{}},"request_id":"{number}"}}')
    assert len(console._counted) == 1000


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("status", "counted", "code"),
    [
        (200, {}, "32"),
        (404, {"outcome": "refused"}, "33"),
        (502, {}, "31"),
        (200, {"outcome": "error", "code": "upstream_error"}, "31"),
    ],
)
def test_a_terminal_shows_how_it_went_in_colour(status: int, counted: dict[str, str], code: str) -> None:
    line = RequestLine("GET", "/", began_s=0, status=status)
    shown = line.text(1, counted, in_colour=True)
    assert f"\x1b[{code}m{status}\x1b[0m" in shown
    assert ("\x1b[31merror upstream_error\x1b[0m" in shown) == ("code" in counted)


@pytest.mark.parametrize(
    ("out", "variables", "in_colour"),
    [
        (Terminal(), {}, True),
        (StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_whose_user_wants_it(
    out: StringIO, variables: dict[str, str], in_colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Console(out=out).log_request(RequestLine("GET", "/", began_s=0, status=200))
    assert ("\x1b[" in out.getvalue()) == in_colour


def test_a_functions_output_carries_its_name() -> None:
    console = Console(out=StringIO(), log=(log := StringIO()))
    console.output_of("chat")("hello")
    assert log.getvalue() == "chat | hello\n"


def test_metrics_are_left_out() -> None:
    console = Console(out=StringIO(), log=(log := StringIO()))
    metrics = '{"_aws": {"Timestamp": 1}, "model": "m"}'
    for line in (metrics, f"found {metrics}"):
        console.output_of("chat")(line)
    assert log.getvalue() == f"chat | found {metrics}\n"


def test_a_usage_record_that_a_function_prints_can_be_replayed_from_the_terminal() -> None:
    console = Console(out=StringIO(), log=(log := StringIO()))
    record = UsageRecord(request_id="r" * 200, model="m", duration_ms=1.5, outcome="ok", started_at=1)
    console.output_of("chat")(record.to_json())
    assert records_in(log.getvalue()) == [record]
