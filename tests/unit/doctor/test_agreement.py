"""What the doctor expects is what would be deployed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aws_cdk import App, Stack

from infra.doctor.checks_account import BOOTSTRAP_VERSION
from infra.doctor.region import MAJOR

ROOT = Path(__file__).resolve().parents[3]


def test_the_bootstrap_version_is_the_one_that_templates_require(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    Stack(app, "Any")
    app.synth()
    artifact = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]["Any"]
    assert artifact["properties"]["requiresBootstrapStackVersion"] == BOOTSTRAP_VERSION


def test_the_database_is_of_the_major_version_that_is_looked_up() -> None:
    source = (ROOT / "infra" / "stacks" / "data.py").read_text()
    assert set(re.findall(r"AuroraPostgresEngineVersion\.VER_(\d+)_", source)) == {MAJOR}


def test_the_build_runs_in_the_environment_whose_quota_is_looked_up() -> None:
    source = (ROOT / "infra" / "inference" / "copying.py").read_text()
    assert "LinuxBuildImage" in source
    assert "ComputeType.MEDIUM" in source
