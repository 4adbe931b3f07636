"""What `make` hands on to the programs that it starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.paths import ROOT

_ALL_KINDS = "p$word$$x$(shell echo evil)${HOME}\"q' # \\ b\\\\ %2F `id`  = é :@ "

# `make test` has set variables of its own.
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def environment_of_program(
    folder: Path, *arguments: str, target: str = "show", **variables: str
) -> dict[str, str]:
    """Return the environment of a program that the Makefile starts."""
    command = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    makefile = folder / "Makefile"
    makefile.write_text(
        f"include {ROOT}/Makefile\nshow:\n\t@{command}\nnested:\n\t@$(MAKE) -f {makefile} show\n"
    )
    done = subprocess.run(
        ("make", "-s", "--no-print-directory", "-f", str(makefile), target, *arguments),
        env={**_CLEAN, **variables},
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("target", ["show", "nested"])
def test_the_command_line_is_handed_on_unchanged(tmp_path: Path, target: str) -> None:
    names = ("DATABASE_URL", "BACKEND_KEY", "PRICES", "ANY_OTHER")
    arguments = [f"{name}={_ALL_KINDS}" for name in names]
    found = environment_of_program(tmp_path, *arguments, target=target)
    assert {name: found[name] for name in names} == dict.fromkeys(names, _ALL_KINDS)


def test_so_is_the_environment_and_the_command_line_wins(tmp_path: Path) -> None:
    found = environment_of_program(tmp_path, "NAME=$1", DATABASE_URL=_ALL_KINDS, PORT="$x", NAME="other")
    assert (found["DATABASE_URL"], found["PORT"], found["NAME"]) == (_ALL_KINDS, "$x", "$1")


@pytest.mark.parametrize(("arguments", "last"), [(("NAME=",), '"$NAME"'), ((), "infra.local.migrate")])
def test_a_migration_has_a_name_if_one_is_given(arguments: tuple[str, ...], last: str) -> None:
    command = ("make", "-n", "migrate", *arguments)
    printed = subprocess.run(command, cwd=ROOT, env=_CLEAN, capture_output=True, check=True, text=True)
    assert printed.stdout.split()[-1] == last


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ((), "bench"),
        (("PEERS=1",), "bench peers"),
        (("GROWTH=1",), "bench growth"),
        (("BASE=../other",), 'bench.compare "$BASE"'),
    ],
)
def test_a_variable_chooses_what_is_measured(arguments: tuple[str, ...], last: str) -> None:
    command = ("make", "-n", "bench", *arguments)
    printed = subprocess.run(command, cwd=ROOT, env=_CLEAN, capture_output=True, check=True, text=True)
    assert printed.stdout.rstrip().endswith(f"-m {last}")
