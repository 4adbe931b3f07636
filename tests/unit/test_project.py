"""Project files agree with each other: versions, the changelog, the workflows, the hooks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.shared.version import VERSION
from infra.release import changes, version
from infra.stages import STAGES

ROOT = Path(__file__).resolve().parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def load(path: str | Path) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_the_version_is_the_same_everywhere() -> None:
    assert version(ROOT) == VERSION
    assert changes(ROOT, VERSION), "the changelog has no section for it"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_make_targets_only(workflow: Path) -> None:
    for job in load(workflow)["jobs"].values():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        named = job.get("strategy", {}).get("matrix", {}).get("target", [])
        assert all(command.startswith("make ") for command in commands)
        targets = {command.split()[1] for command in commands if "matrix.target" not in command}
        assert targets | set(named) <= TARGETS


def test_every_push_is_tested_as_the_local_script_does() -> None:
    steps = load(".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    lines = (ROOT / ".ci/run").read_text().splitlines()
    commands = [line.partition(" &")[0].removeprefix("nice -n 19 ") for line in lines]
    script = [command for command in commands if command.startswith("make ")]
    assert [step["run"] for step in steps if "run" in step] == script


def test_mypy_reads_what_is_used_of_the_cdk() -> None:
    """What it skips would be of any type, and nothing would be checked."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    read = {name for each in overrides if each.get("follow_imports") == "normal" for name in each["module"]}
    used = set()
    for path in (path for folder in ("infra", "tests", "bench") for path in (ROOT / folder).rglob("*.py")):
        source = path.read_text()
        used |= {f"aws_cdk.{name}" for name in re.findall(r"^from aws_cdk\.([a-z_0-9]+)", source, re.M)}
        for names in re.findall(r"^from aws_cdk import (.+)", source, re.M):
            used |= {f"aws_cdk.{name}" for name in re.findall(r"(?:^|, )([a-z][a-z_0-9]*)", names)}
    assert len(used) > 20
    assert used <= read


def test_every_supported_python_is_tested() -> None:
    matrix = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]


def test_hooks_are_local() -> None:
    repositories = load(".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    entries = [hook["entry"] for repository in repositories for hook in repository["hooks"]]
    assert all(entry.startswith((".venv/bin/", "make ")) for entry in entries)


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_issue_forms_have_unique_fields(form: str) -> None:
    fields = [field["id"] for field in load(f".github/ISSUE_TEMPLATE/{form}.yml")["body"] if "id" in field]
    assert len(fields) == len(set(fields)) > 0


def test_a_pipeline_deploys_without_stored_keys() -> None:
    workflow = load(".github/workflows/deploy.yml")
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    stages = workflow[True]["workflow_dispatch"]["inputs"]["stage"]["options"]  # YAML 1.1 reads `on` as true
    assert stages == list(STAGES)
    job = workflow["jobs"]["deploy"]
    assert job["environment"] == job["env"]["STAGE"]
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    assert "secrets." not in text
    (role,) = [step["with"] for step in job["steps"] if "aws-actions/" in step.get("uses", "")]
    assert role["role-to-assume"] == "${{ vars.AWS_ROLE }}"
    assert [step["run"] for step in job["steps"] if "run" in step] == [
        "make doctor",
        "make deploy YES=1 SMOKE=0",
        "make smoke",
    ]
