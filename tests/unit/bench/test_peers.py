"""What the table says of other gateways, of made-up figures."""

from bench.peers import ALONE, DIRECTLY, OURS, TOGETHER, rows


def test_each_of_ours_is_beside_each_of_theirs_and_the_goal_is_a_tenth_of_litellm() -> None:
    firsts = {OURS: 0.0025, TOGETHER: 0.0031, "LiteLLM 1": 0.0215, "FastAPI 1": 0.0024, DIRECTLY: 0.0005}
    rates = {8: {OURS: 900.0, TOGETHER: 600.0, "LiteLLM 1": 100.0, "FastAPI 1": 300.0, DIRECTLY: 3000.0}}
    sizes = {1: {OURS: 100.0, TOGETHER: 90.0, "LiteLLM 1": 400.0, "FastAPI 1": 60.0}}
    found = rows(firsts | {ALONE: 0.0011}, rates, sizes, {**sizes[1]})
    by_name = {row.what: row for row in found}
    first = by_name["first byte added, ours"]
    assert (first.ours, first.met) == ("+2.0 ms", True)
    assert first.beside == "+21.0 ms LiteLLM 1, +1.9 ms FastAPI 1"
    assert first.result == "0.095 x, 1.1 x"
    assert by_name[f"first byte added, {TOGETHER}"].met is False
    assert by_name[f"first byte added, {ALONE}"].met is True
    assert by_name["events of 8 streams, ours"].result == "9 x, 3 x, 0.3 x"
    assert by_name["memory, a stream, ours"].beside == "400 MB LiteLLM 1, 60 MB FastAPI 1"
