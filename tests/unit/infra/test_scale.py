"""The table in docs/scale.md, computed again."""

from pathlib import Path

import pytest

from infra.inference.gpu_memory import cache_gib, room_gib, token_bytes, weights_gib
from infra.stages import Engine, Model

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "scale.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| Qwen")
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}-{row[6]}" for row in ROWS])
def test_a_row_is_what_the_formulas_give(row: list[str]) -> None:
    numbers = [float(cell.replace(",", "")) for number, cell in enumerate(row) if number not in (0, 6)]
    billions, bytes_each, layers, heads, size, gpus, memory, *shown = numbers
    weights = weights_gib(billions * 1e9, bytes_each)
    token = token_bytes(layers=int(layers), key_heads=int(heads), head_size=int(size))
    room = cache_gib(gpus=int(gpus), gpu_memory_gib=memory, weights_gib=weights)
    expected = [round(weights, 1), round(token / 1024), round(room, 1), round(room * 1024**3 / token)]
    assert shown == pytest.approx(expected, abs=1e-9)


def test_the_table_has_rows() -> None:
    assert len(ROWS) == 6


def test_the_default_model_fits_with_its_whole_context() -> None:
    engine = Engine()
    needed = engine.model.context * token_bytes(layers=36, key_heads=8, head_size=128) / 1024**3
    weights = weights_gib(8.19e9)
    room = cache_gib(gpus=1, gpu_memory_gib=engine.gpu_memory_gib, weights_gib=weights)
    assert room > needed, "vLLM refuses to start otherwise"
    assert engine.model.weights_gib >= weights


def test_room_may_be_negative() -> None:
    assert room_gib(Engine(model=Model(weights_gib=40))) < 0
