from io import StringIO

import pytest

from infra.local.console import Console, RequestLine


def test_a_request_is_one_line() -> None:
    line = RequestLine("GET", "/v1/models", began_s=1.0, status=200, first_byte_s=1.0125, bytes_sent=1500)
    assert line.text(2.5) == "GET  /v1/models  200  first byte 12.5 ms  total 1.50 s  1.5 kB"


def test_a_request_that_ended_early_has_its_outcome() -> None:
    assert (
        RequestLine("POST", "/", began_s=0, outcome="client disconnected").text(0.1)
        == "POST /  -  total 100.0 ms  0 B  client disconnected"
    )


def test_a_functions_output_carries_its_name() -> None:
    console = Console(out=StringIO(), log=(log := StringIO()))
    console.output_of("chat")("hello")
    assert log.getvalue() == "chat | hello\n"


@pytest.mark.parametrize("record", ['{"usage": {"model": "m"}}', '{"_aws": {"Timestamp": 1}}'])
def test_records_for_programs_are_left_out(record: str) -> None:
    console = Console(out=StringIO(), log=(log := StringIO()))
    for line in (record, f"found {record}"):
        console.output_of("chat")(line)
    assert log.getvalue() == f"chat | found {record}\n"
