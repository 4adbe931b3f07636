"""Each stage synthesised once, without bundling, as `cdk.json` has it; its templates for all tests.

The tests that read them keep to one worker, so that it is once indeed.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import build
from infra.bundles import Bundles
from infra.stages import DEV, PROD, Stage

ROOT = Path(__file__).resolve().parents[3]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource of a template, by its logical id."""

    id: str
    entry: Json

    @property
    def properties(self) -> Json:
        return dict(self.entry.get("Properties", {}))

    @property
    def policies(self) -> tuple[str | None, str | None]:
        """What becomes of it when it is deleted, and when it is replaced."""
        return self.entry.get("DeletionPolicy"), self.entry.get("UpdateReplacePolicy")


@dataclass(frozen=True)
class Deployment:
    """What CDK made of a stage.

    Shape:  `templates` by the last part of a stack's name, as in "Data". `complaint`: what the synthesis
            failed with.
    """

    stage: Stage
    folder: Path
    complaint: str | None = field(repr=False)

    @cached_property
    def templates(self) -> dict[str, Json]:
        prefix = f"Chatbot{self.stage.name.capitalize()}"
        return {
            path.name.removeprefix(prefix).removesuffix(".template.json"): json.loads(path.read_text())
            for path in sorted(self.folder.glob("*.template.json"))
        }

    @cached_property
    def manifest(self) -> Json:
        manifest: Json = json.loads((self.folder / "manifest.json").read_text())
        return manifest

    def all(self, type_: str, stack: str | None = None) -> list[Resource]:
        """Return the resources of a type, of one stack or of all."""
        return [
            Resource(logical_id, entry)
            for name, template in self.templates.items()
            for logical_id, entry in template["Resources"].items()
            if entry["Type"] == type_ and stack in (None, name)
        ]

    def one(self, type_: str, stack: str, **properties: Any) -> Resource:
        """Return the only resource of a type that has these properties."""
        found = [
            each
            for each in self.all(type_, stack)
            if all(each.properties.get(name) == value for name, value in properties.items())
        ]
        assert len(found) == 1, f"{len(found)} of {type_} in {stack} with {properties}"
        return found[0]

    def outputs(self, stack: str) -> Json:
        """Return what a stack tells its users, without what it exports to other stacks."""
        outputs = self.templates[stack].get("Outputs", {})
        return {name: output for name, output in outputs.items() if "Export" not in output}


def synthesise(stage: Stage, folder: Path) -> Deployment:
    """Synthesise a stage; findings of cdk-nag are kept, for the templates are there nevertheless."""
    app = App(outdir=str(folder), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
    build(app, stage, bundles=Bundles(architecture=stage.architecture, native_engine="optional"))
    try:
        app.synth()
    except RuntimeError as error:
        if not str(error).startswith("ValidationFailed: "):
            raise
        return Deployment(stage, folder, str(error))
    return Deployment(stage, folder, None)


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deployment]:
    """The stages of `infra/stages.py`, by name."""
    return {stage.name: synthesise(stage, tmp_path_factory.mktemp(stage.name)) for stage in (DEV, PROD)}


@pytest.fixture
def dev(deployments: dict[str, Deployment]) -> Deployment:
    return deployments["dev"]


@pytest.fixture
def prod(deployments: dict[str, Deployment]) -> Deployment:
    return deployments["prod"]


@pytest.fixture(params=["dev", "prod"])
def deployment(deployments: dict[str, Deployment], request: pytest.FixtureRequest) -> Deployment:
    """Each stage in turn."""
    return deployments[request.param]


# Before pytest-xdist reads the marks, also where this file is named on the command line.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "deployments" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("infra"))
