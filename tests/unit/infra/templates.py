"""Each stage synthesised once, without bundling, as `cdk.json` has it; its templates for all tests.

The worker that needs a stage first synthesises it; the others wait at a file lock and read what it wrote.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import build
from infra.bundles import Bundles
from infra.stages import STAGES, Stage

ROOT = Path(__file__).resolve().parents[3]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
Json = dict[str, Any]
# cdk-nag's findings, beside the templates: written last, so that a folder which has it is complete.
_FINDINGS = "findings.txt"


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
    """The templates of a stage.

    Shape:  `templates` by the last part of a stack's name, as in "Data". `findings`: cdk-nag's; "": none.
    """

    stage: Stage
    folder: Path
    findings: str = field(repr=False)

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
        """Return a stack's outputs for its users, without what it exports to other stacks."""
        outputs = self.templates[stack].get("Outputs", {})
        return {name: output for name, output in outputs.items() if "Export" not in output}


class Deployments(Mapping[str, Deployment]):
    """The stages of `infra/stages.py` by name, each synthesised when it is first read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Deployment] = {}

    def __getitem__(self, name: str) -> Deployment:
        if name not in self._read:
            stage, folder = STAGES[name], self._folder / f"synth-{name}"
            findings = folder / _FINDINGS
            with one_worker(self._folder / f"synth-{name}.lock"):
                if not findings.exists():
                    app = App(outdir=str(folder), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
                    bundles = Bundles(architecture=stage.architecture)
                    build(app, stage, bundles=bundles)
                    findings.write_text(synthesise(app))
            self._read[name] = Deployment(stage, folder, findings.read_text())
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(STAGES)

    def __len__(self) -> int:
        return len(STAGES)


def synthesise(app: App) -> str:
    """Write an app's templates; return what cdk-nag found, with which they are written nevertheless."""
    try:
        app.synth()
    except RuntimeError as error:
        if not str(error).startswith("ValidationFailed: "):
            raise
        return str(error)
    return ""


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def one_worker(lock: Path) -> Iterator[None]:
    """Keep the other workers out for as long as the context lasts."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
