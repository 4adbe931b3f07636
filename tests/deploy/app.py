"""The app as `cdk.json` runs it, but for this machine: its architecture, its Python.

Its bundles are the same as those of `tests/integration/bundles`, so that they are built once.
"""

import json
import platform
from dataclasses import replace

from aws_cdk import App

from infra.app import build
from infra.bundles import Bundles
from infra.emulator.bundled_function import available_version
from infra.stages import STAGES, Architecture

_ARCHITECTURES: dict[str, Architecture] = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def synthesise(app: App, name: str, origins: str | None) -> None:
    """Write the templates and bundles of a stage, with other origins of pages where they are given."""
    stage = replace(STAGES[name], architecture=_ARCHITECTURES[platform.machine()])
    stage = replace(stage, cors_origins=tuple(origins.split(","))) if origins else stage
    python = available_version()
    build(app, stage, bundles=Bundles(architecture=stage.architecture, python=python))
    app.synth()


def main() -> None:
    """Synthesise the stage of the context, and others beside it: a process of their own would take longer.

    Shape:  context `beside`: folder → {"stage": …, "cors-origins": …}, by JSON.
    """
    app = App()
    synthesise(app, app.node.get_context("stage"), app.node.try_get_context("cors-origins"))
    for folder, context in json.loads(app.node.try_get_context("beside") or "{}").items():
        synthesise(App(outdir=folder), context["stage"], context.get("cors-origins"))


if __name__ == "__main__":
    main()
