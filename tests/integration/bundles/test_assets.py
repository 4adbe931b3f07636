"""The bundles as CDK stages them, in a process of its own as `cdk synth` has it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.emulator.bundled_function import available_version
from infra.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundles"), pytest.mark.timeout(300)]
_APP = """
import sys
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from infra.bundles import Bundles

outdir, python, stacks, *names = sys.argv[1:]
context = {"aws:cdk:bundling-stacks": stacks.split(), "aws:cdk:enable-asset-metadata": True}  # as the CLI
app = App(outdir=outdir, context=context)
stack = Stack(app, "Api")
bundles = Bundles(architecture="arm64", python=python)
for name in names:
    lambda_.LayerVersion(stack, name, code=getattr(bundles, name)())
app.synth()
"""
_ALL = (
    "streaming",
    "chat_dependencies",
    "todos_dependencies",
    "chat",
    "todos",
    "migrations",
)


def synth(
    outdir: Path, *names: str, python: str = "", stacks: str = "Api"
) -> "subprocess.CompletedProcess[str]":
    arguments = (str(outdir), python or available_version(), stacks, *names)
    return subprocess.run(
        (sys.executable, "-c", _APP, *arguments),
        cwd=ROOT,
        env=os.environ | {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20"},
        capture_output=True,
        text=True,
        check=False,
    )


def assets(outdir: Path) -> set[str]:
    return {path.name for path in outdir.glob("asset.*")}


def test_all_are_staged_and_again_the_same(tmp_path: Path) -> None:
    first = synth(tmp_path / "first", *_ALL)
    assert first.returncode == 0, first.stderr
    assert len(assets(tmp_path / "first")) == len(_ALL)
    second = synth(tmp_path / "second", *_ALL)
    assert assets(tmp_path / "second") == assets(tmp_path / "first")
    assert "Bundled:" not in second.stderr, "expected the cache to have them all"
    template = json.loads((tmp_path / "first" / "Api.template.json").read_text())
    named = {each["Metadata"]["aws:asset:path"] for each in template["Resources"].values()}
    assert named == assets(tmp_path / "first"), "expected SAM to find each"
    wrapper = next((tmp_path / "first").glob("asset.*/lambda-stream"))
    assert wrapper.stat().st_mode & 0o111


def test_a_stack_that_is_not_bundled_costs_nothing(tmp_path: Path) -> None:
    done = synth(tmp_path, "chat", python="9.9", stacks="")
    assert done.returncode == 0, done.stderr
    assert assets(tmp_path) == set()


def test_a_failure_prints_its_own_text_last(tmp_path: Path) -> None:
    done = synth(tmp_path, "chat", python="9.9")
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-1] == (
        "Install Python 9.9 so that `python9.9` runs, then start again."
    )
    assert "Traceback" not in done.stderr
