"""The plans of a schema: compiled once, saved, loaded, forgotten."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from prisma.client import PACKAGED_SCHEMA_PATH, Prisma
from prisma.models import Todo
from prisma_in_process.cache import Plans, Recent
from prisma_in_process.errors import UserError

DATAMODEL = PACKAGED_SCHEMA_PATH.read_text()


def call(**where: Any) -> Any:
    return Prisma(use_dotenv=False)._make_query_builder(
        method="find_many", arguments={"where": where}, model=Todo, root_selection=None
    )


@pytest.fixture(scope="module")
def compiled() -> Plans:
    """The plans of two calls."""
    plans = Plans(DATAMODEL, "public")
    plans.make(call(title="a"))
    plans.make(call(title={"contains": "a", "mode": "insensitive"}))
    return plans


def test_a_shape_is_compiled_once_whatever_its_values() -> None:
    plans = Plans(DATAMODEL, "public")
    assert plans.find(call(title="a")) is None
    first, _ = plans.make(call(title="a"))
    found = plans.find(call(title="b"))
    assert found
    assert found[0] is first
    assert "b" in found[1].values()
    assert plans.compiled == 1


def test_threads_compile_a_shape_once() -> None:
    plans = Plans(DATAMODEL, "public")
    threads = [threading.Thread(target=plans.make, args=(call(title="a"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plans.compiled == 1


def test_what_the_compiler_refuses_is_the_callers_error(compiled: Plans) -> None:
    with pytest.raises(UserError) as caught:
        compiled.make(call(nothing="a"))
    assert caught.value.code == "P2009"
    assert compiled.make(call(title="c"))


def test_saved_plans_are_loaded_and_not_compiled(compiled: Plans, tmp_path: Path) -> None:
    file = tmp_path / "plans.json"
    compiled.save(file)
    loaded = Plans(DATAMODEL, "public", file)
    assert loaded.find(call(title="b"))
    assert loaded.find(call(title={"contains": "b", "mode": "insensitive"}))
    assert loaded.find(call(completed=True)) is None
    loaded.make(call(completed=True))
    loaded.save(file)
    assert len(json.loads(file.read_text())["plans"]) == 3


@pytest.mark.parametrize("change", ["schema", "datamodel", "no file", "a part", "a list", "a folder"])
def test_plans_of_something_else_are_not_used(
    compiled: Plans, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    file = tmp_path if change == "a folder" else tmp_path / "plans.json"
    if change in ("schema", "datamodel", "a part"):
        compiled.save(file)
    if change in ("a part", "a list"):
        file.write_text(file.read_text()[:-9] if change == "a part" else "[]")
    datamodel = DATAMODEL + "\n" if change == "datamodel" else DATAMODEL
    other = Plans(datamodel, "other" if change == "schema" else "public", file)
    assert other.find(call(title="a")) is None
    assert "they are compiled" in caplog.text


def test_what_was_not_used_lately_is_forgotten() -> None:
    recent: Recent[int] = Recent(most_text=10)
    for number, key in enumerate(("aaaa", "bbbb", "cc")):
        recent.put(key, number)
    assert recent.get("aaaa", -1) == 0
    recent.put("dddd", 3)
    assert [recent.get(key, -1) for key in ("aaaa", "bbbb", "cc", "dddd")] == [0, -1, 2, 3]
    recent.put("e" * 11, 4)
    assert [recent.get(key, -1) for key in ("aaaa", "e" * 11)] == [-1, -1]
    recent.put("aaaa", 5)
    assert recent.get("aaaa", -1) == 5
