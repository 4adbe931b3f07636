import subprocess
import sys
from pathlib import Path

import pytest

from infra import setup


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(setup, "VENV_PYTHON", Path(sys.executable))
    (tmp_path / ".local" / "stamps").mkdir(parents=True)
    (tmp_path / "source").write_text("one")
    return tmp_path


def step(code: str) -> setup.Step:
    return setup.Step("a", "A thing", ("source",), (sys.executable, "-c", code), 0)


@pytest.mark.usefixtures("clone")
def test_a_step_is_done_until_what_it_is_made_from_changes(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = step("print('working')")
    assert not one.done()
    one.make()
    assert one.done()
    assert capsys.readouterr().out.startswith("A thing ")
    (clone / "source").write_text("two")
    assert not one.done()


@pytest.mark.usefixtures("clone")
def test_a_step_that_fails_says_why_and_leaves_no_stamp() -> None:
    with pytest.raises(setup.SetupError, match="A thing: the disk is full"):
        step("raise SystemExit('OSError: No space left on device')").make()
    assert not step("").done()


@pytest.mark.usefixtures("clone")
def test_a_step_made_again_in_vain_loses_its_stamp() -> None:
    step("").make()
    with pytest.raises(setup.SetupError, match="A thing: 3"):
        step("raise SystemExit('3')").make()
    assert not step("").done()


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (
            "WARNING: NewConnectionError(…)\nERROR: No matching distribution",
            "the package index cannot be reached",
        ),
        ("one\n\n  two \n", "two"),
        ("", "failed without a word"),
    ],
)
def test_the_reason_is_a_known_cause_or_the_last_line(output: str, told: str) -> None:
    assert setup.reason(output).startswith(told)


def test_little_disk_space_is_found_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(setup.NEEDED_GB, "run", 1e9)
    with pytest.raises(setup.SetupError, match="GB of free disk space"):
        setup.check("run", [])


@pytest.mark.usefixtures("clone")
def test_a_folder_is_made_from_all_of_its_files(clone: Path) -> None:
    (clone / "folder").mkdir()
    (clone / "folder" / "one").write_text("1")
    one = setup.Step("a", "A thing", ("folder",), (sys.executable, "-c", ""), 0)
    one.make()
    (clone / "folder" / "two").write_text("2")
    assert not one.done()


@pytest.mark.parametrize("goal", ["run", "test", "deploy"])
@pytest.mark.parametrize("has_node", [True, False])
def test_a_machine_without_node_gets_one_before_npm_is_used(
    goal: str, has_node: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "has_node", lambda: has_node)
    stages = {step.name: step.stage for step in setup.steps(goal)}
    assert ("node" in stages) is not has_node
    assert stages["venv"] < stages.get("node", 1) < stages["prisma"] < stages[f"client-of-{goal}"]


def test_a_deployment_needs_no_model_but_the_cdk(clone: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        (clone / name).touch()
    assert "cdk" in {step.name for step in setup.steps("deploy")}
    assert "model" not in {step.name for step in setup.steps("deploy")}
    tests_packages = setup.node_packages()
    tests_packages.stamp_file.write_text(tests_packages.stamp())
    assert "cdk" not in {step.name for step in setup.steps("deploy")}, "it would remove the tests' packages"


@pytest.mark.parametrize(("version", "enough"), [("v18.0.0", True), ("v16.20.2", False), ("", False)])
def test_an_old_node_is_none(
    version: str, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.has_node() is enough


def test_an_unknown_goal_is_told_the_known_ones() -> None:
    command = (sys.executable, setup.__file__ or "", "walk")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "Expected: python3 infra/setup.py run|test|deploy\n")
