import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import setup
from infra.install import failures, goals, machine, main, packages
from infra.install import step as steps
from infra.install.progress import Progress
from infra.install.step import Step, StepFailed
from infra.paths import ROOT


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty clone, whose environment is this one."""
    for module in (steps, failures, machine):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for module in (steps, main):
        monkeypatch.setattr(module, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(steps, "VENV_PYTHON", Path(sys.executable))
    (tmp_path / "stamps").mkdir()
    (tmp_path / "source").write_text("one")
    return tmp_path


def step(code: str = "", *, name: str = "a", source: str = "source", stage: int = 0) -> Step:
    return Step(stage, name, f"Thing {name}", 3, 4, (sys.executable, "-c", code), (source,))


def test_a_step_is_done_until_its_sources_change(clone: Path) -> None:
    one = step()
    assert not one.is_done()
    one.run()
    assert one.is_done()
    (clone / "source").write_text("two")
    assert not one.is_done()


@pytest.mark.usefixtures("clone")
def test_a_step_that_fails_loses_its_stamp() -> None:
    step().run()
    with pytest.raises(StepFailed):
        step("raise SystemExit('3')").run()
    assert not step().is_done()


def test_all_files_of_a_folder_are_sources(clone: Path) -> None:
    (clone / "folder").mkdir()
    (clone / "folder" / "one").write_text("1")
    one = step(source="folder")
    one.run()
    (clone / "folder" / "two").write_text("2")
    assert not one.is_done()


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("NewConnectionError(…)\nERROR: No matching distribution", "the package index cannot be reached"),
        ("OSError: No space left on device", "the disk is full. Free some space"),
        ("one\n\n  two \n", "the command failed"),
    ],
)
@pytest.mark.usefixtures("clone")
def test_a_failure_shows_the_output_the_cause_and_the_next_step(output: str, cause: str) -> None:
    failed = step()
    failed.log_file.write_text(output)
    first, *shown, last, next_step = failures.describe_failure(failed).splitlines()
    assert first == f"Thing a failed. The command was: {sys.executable} -c ''"
    assert shown == [f"  {line.rstrip()}" for line in output.splitlines() if line]
    assert last.startswith(f"Thing a: {cause}")
    assert next_step == (
        "Then run the same command again: finished steps are kept. All of the output: stamps/a.log"
    )


@pytest.mark.usefixtures("clone")
def test_only_the_end_of_a_long_output_is_shown() -> None:
    failed = step()
    failed.log_file.write_text("\n".join(str(number) for number in range(100)))
    lines = failures.describe_failure(failed).splitlines()
    assert lines[1:-2] == [f"  {number}" for number in range(100 - failures.SHOWN_LINES, 100)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def installed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int | str, str]]:
    """Return a function that installs steps, and returns the result and what was printed."""

    def install(*wanted: Step, out: io.StringIO | None = None) -> tuple[int | str, str]:
        assert clone.exists()
        out = out or io.StringIO()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(main, "missing_steps", lambda _: list(wanted))
        return main.install(["run"]), out.getvalue()

    return install


Installed = Callable[..., tuple[int | str, str]]


def test_set_up_says_what_it_will_do_and_numbers_what_is_done(installed: Installed) -> None:
    status, printed = installed(step("print('raw')"), step("print('raw')", name="b", stage=1))
    assert status == 0
    assert printed.splitlines()[0] == (
        "Setting up `run`, once: at most 6 MB to download, 8 MB on disk in this folder."
    )
    rows = [line.split() for line in printed.splitlines() if line.startswith("[")]
    assert [row[:-2] for row in rows] == [
        ["[1/2]", "Thing", "a", "3", "MB", "4", "MB"],
        ["[2/2]", "Thing", "b", "3", "MB", "4", "MB"],
    ]
    assert "raw" not in printed
    assert "\033" not in printed
    assert "\r" not in printed


def test_set_up_prints_nothing_when_all_is_done(installed: Installed) -> None:
    assert installed() == (0, "")


def test_a_failed_step_ends_set_up_with_its_output(installed: Installed) -> None:
    status, printed = installed(step("print('raw'); raise SystemExit(3)"), step(name="b", stage=1))
    assert "  raw\n" in str(status)
    assert "[1/2]" not in printed


@pytest.mark.parametrize(
    ("environment", "colours", "rewrites"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
)
def test_a_terminal_shows_what_is_running(
    environment: dict[str, str],
    colours: bool,
    rewrites: bool,
    installed: Installed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _, printed = installed(step(), out=Terminal())
    assert ("\033[2m" in printed) is colours
    assert ("\r\033[K" in printed) is rewrites


def test_the_running_line_names_all_steps_that_run_and_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    out = Terminal()
    progress = Progress(2, out, clock_s=lambda: 7.0)
    with progress.step(step(name="a")), progress.step(step(name="b")):
        progress.show_running()
    assert out.getvalue().startswith("\r\033[K[1/2]   Thing a, Thing b ... ")
    assert len(out.getvalue().partition("\r\033[K")[2].partition("\r")[0]) == 29


@pytest.mark.usefixtures("clone")
def test_too_little_disk_space_is_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SPARE_MB", 1e12)
    with pytest.raises(machine.Unsuitable, match="GB of free disk space"):
        machine.check_machine([])


@pytest.mark.parametrize("goal", [goal for goal, steps in goals.GOALS.items() if "prisma" in steps])
@pytest.mark.parametrize("has_node", [True, False])
@pytest.mark.usefixtures("clone")
def test_a_machine_without_node_gets_one_before_npm_is_used(
    goal: str, has_node: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goals, "has_node", lambda: has_node)
    stages = {step.name: step.stage for step in goals.missing_steps(goal)}
    assert ("node" in stages) is not has_node
    client = next(stage for name, stage in stages.items() if name.startswith("client-of-"))
    assert stages["venv"] < stages.get("node", 1) < stages["prisma"] < client


def test_a_deployment_needs_the_cdk_and_no_model(clone: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        (clone / name).touch()
    assert "cdk" in {step.name for step in goals.missing_steps("deploy")}
    assert "model" not in {step.name for step in goals.missing_steps("deploy")}
    (tests_packages,) = (step for step in goals.STEPS if step.name == "node-packages")
    tests_packages.stamp_file.write_text(tests_packages.stamp())
    assert "cdk" not in {step.name for step in goals.missing_steps("deploy")}, "it would remove the others"


def test_goals_name_steps_that_exist_and_every_step_has_a_goal() -> None:
    assert {name for names in goals.GOALS.values() for name in names} == {step.name for step in goals.STEPS}


@pytest.mark.parametrize(("version", "enough"), [("v18.0.0", True), ("v16.20.2", False), ("", False)])
def test_an_old_node_does_not_count(
    version: str, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.has_node() is enough


def test_an_unknown_goal_lists_the_known_ones() -> None:
    command = (sys.executable, setup.__file__ or "", "walk")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        1,
        f"Expected: python3 infra/setup.py {'|'.join(goals.GOALS)}\n",
    )


def test_an_old_python_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    with pytest.raises(SystemExit, match=r"Expected Python 3\.11 or newer, but got .*PYTHON=python3"):
        setup.main()


def test_locks_of_npm_hold_no_address_of_a_registry() -> None:
    locks = [ROOT / each / "package-lock.json" for each in (".", "layers/prisma")]
    for lock in (*locks, *ROOT.glob("requirements/*/package-lock.json")):
        packages = json.loads(lock.read_text())["packages"]
        assert not [name for name, each in packages.items() if "http" in each.get("resolved", "")]


def test_uv_looks_for_packages_where_pip_is_configured_to() -> None:
    listed = (
        ":env:.index-url='https://one.example/simple'\n"
        "global.cert='/etc/ssl/own.crt'\n"
        "global.extra-index-url='file:///a https://me:secret@b.example/simple'\n"
        "global.find-links='/wheels'\n"
        "global.index-url='https://other.example/simple'\n"
        "global.timeout='60'\n"
        "user.extra-index-url='https://c.example/simple'\n"
    )
    found = packages.variables(listed)
    assert {name: value for name, value in found.items() if name not in packages.variables("")} == {
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "SSL_CERT_FILE": "/etc/ssl/own.crt",
        "UV_INDEX": "file:///a https://me:secret@b.example/simple https://c.example/simple",
        "UV_FIND_LINKS": "/wheels",
    }


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"uv": 0, "pip": 1}, (0, ["uv"])),
        ({"uv": 2, "pip": 0}, (0, ["uv", "pip"])),
        ({"uv": 2, "pip": 1}, (1, ["uv", "pip"])),
        ({"pip": 0}, (0, ["pip"])),
    ],
    ids=str,
)
def test_pip_installs_where_uv_does_not(
    statuses: dict[str, int],
    expected: tuple[int, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = {}
    for name in ("uv", "pip"):
        programs[name] = tmp_path / name
        if name in statuses:
            note = f"[ $1 = config ] || echo {name} >> {tmp_path}/calls"
            programs[name].write_text(f"#!/bin/sh\n{note}\nexit {statuses[name]}\n")
            programs[name].chmod(0o755)
    monkeypatch.setattr(packages, "UV", programs["uv"])
    monkeypatch.setattr(packages, "PIP", (str(programs["pip"]),))
    status = packages.main("requirements/model.txt", str(tmp_path / "folder"))
    assert (status, (tmp_path / "calls").read_text().split()) == expected
