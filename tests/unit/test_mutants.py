from pathlib import Path

from tests.tools.mutants import COUNT, SHARES, mutants, sample

SOURCE = """
def first(numbers: list[int], limit: int = 3) -> int | None:
    "An é and a \u2028 before what is changed."
    if not numbers or len(numbers) > limit:
        raise ValueError("é")
    return numbers[0]
"""


def test_each_mutant_is_one_small_change(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(SOURCE)
    assert {(each.line, each.old, each.new) for each in mutants(path)} == {
        (4, "not numbers or len(numbers) > limit", "(not numbers and len(numbers) > limit)"),
        (5, "raise ValueError('é')", "pass"),
        (6, "return numbers[0]", "return None"),
        (4, "not numbers", "(numbers)"),
        (4, "len(numbers) > limit", "(len(numbers) >= limit)"),
        (6, "0", "1"),
    }
    for each in mutants(path):
        assert each.source().decode() in {
            SOURCE.replace(old, each.new) for old in (each.old, each.old.replace("'", '"'))
        }


def test_a_file_that_moves_keeps_its_place_in_the_draw(tmp_path: Path) -> None:
    ranks = []
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(SOURCE)
        ranks.append([each.rank for each in mutants(tmp_path / name)])
    assert ranks[0] == ranks[1]


def test_every_folder_has_its_share_and_every_mutant_compiles() -> None:
    drawn = sample(COUNT)
    assert {each.folder for each in drawn} == SHARES.keys()
    assert len(drawn) == COUNT
    for each in drawn:
        compile(each.source(), each.path, "exec")
        assert each.source() != each.path.read_bytes()
