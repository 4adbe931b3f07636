"""The app as `cdk.json` runs it, but for this machine: its architecture, its Python, no native engine.

Its bundles are the same as those of `tests/integration/bundles`, so that they are built once.
"""

import platform
from dataclasses import replace

from aws_cdk import App

from infra.app import build
from infra.bundles import Bundles
from infra.emulator.bundled_function import available_version
from infra.stages import STAGES, Architecture, Stage

_ARCHITECTURES: dict[str, Architecture] = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def stage_here(app: App) -> Stage:
    """Return the stage of the context, with the changes that the context names."""
    stage = replace(STAGES[app.node.get_context("stage")], architecture=_ARCHITECTURES[platform.machine()])
    origins = app.node.try_get_context("cors-origins")
    return replace(stage, cors_origins=tuple(origins.split(","))) if origins else stage


def main() -> None:
    """Synthesise the stage of the context."""
    app = App()
    stage = stage_here(app)
    python = available_version()
    bundles = Bundles(architecture=stage.architecture, python=python, native_engine="optional")
    build(app, stage, bundles=bundles)
    app.synth()


if __name__ == "__main__":
    main()
