"""The engine's stack in all its variants, synthesised once for all tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack
from aws_cdk import aws_secretsmanager as secretsmanager

from infra import nag
from infra.stacks.engine import EngineStack
from infra.stacks.network import NetworkStack
from infra.stages import DEV, PROD, Engine, Model, Stage

from .templates import CONTEXT, synthesise

Json = dict[str, Any]
_LARGE = Engine(
    model=Model(id="Qwen/Qwen3-32B", weights_gib=62, reasoning_parser=None, tool_parser=None),
    image="registry.example.com/engines/vllm@sha256:" + "ab" * 32,
    capacity="auto_scaling_group",
    instance_type="g6.12xlarge",
    gpus=4,
    cpus=40,
    memory_gib=160,
    spot=True,
    tasks=(0, 3),
    quiet_minutes=45,
    waiting_target=6,
    start_s=700,
)
VARIANTS = {
    "dev": DEV,
    "prod": PROD,
    "spot": replace(DEV, name="spot", engine=replace(DEV.engine, spot=True, model=Model(revision="v2"))),
    "group": replace(PROD, name="group", engine=replace(PROD.engine, capacity="auto_scaling_group")),
    "large": replace(DEV, name="large", engine=_LARGE),
}


@dataclass(frozen=True, kw_only=True)
class EngineTemplate:
    """One variant's template, and what other stacks read of it."""

    stage: Stage
    resources: dict[str, Json]
    text: str
    base_url: str
    service_arn: Any

    def all(self, kind: str) -> dict[str, Json]:
        """Return the properties of all resources of a type, by logical id."""
        return {
            logical_id: each.get("Properties", {})
            for logical_id, each in self.resources.items()
            if each["Type"] == kind
        }

    def one(self, kind: str) -> Json:
        """Return the properties of the only resource of a type."""
        (properties,) = self.all(kind).values()
        return properties

    def statements(self, role: str) -> list[Json]:
        """Return what a role, whose logical id begins so, may do by policies of the stack."""
        return [
            statement
            for policy in self.all("AWS::IAM::Policy").values()
            if policy["Roles"][0]["Ref"].startswith(role)
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def container(self, name: str) -> Json:
        """Return a container of the task."""
        (found,) = (
            each
            for each in self.one("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
            if each["Name"] == name
        )
        return dict(found)


@dataclass(frozen=True, kw_only=True)
class EngineVariants:
    """Shape: `findings`: cdk-nag's; "": none."""

    templates: dict[str, EngineTemplate]
    findings: str

    def __getitem__(self, name: str) -> EngineTemplate:
        return self.templates[name]


def read_variants(folder: Path) -> EngineVariants:
    """Return all variants, from the folder where the first caller has synthesised them, in one app."""
    values = folder / "values.json"
    if not values.exists():
        _synthesise_variants(folder, values)
    read = json.loads(values.read_text())
    templates = {
        name: EngineTemplate(
            stage=stage,
            resources=json.loads(text := (folder / f"{name}Engine.template.json").read_text())["Resources"],
            text=text,
            **read["stacks"][name],
        )
        for name, stage in VARIANTS.items()
    }
    return EngineVariants(templates=templates, findings=read["findings"])


def _synthesise_variants(folder: Path, values: Path) -> None:
    app = App(outdir=str(folder), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
    resolved = {}
    for name, stage in VARIANTS.items():
        network = NetworkStack(app, f"{name}Network", stage=stage)
        key = secretsmanager.Secret(Stack(app, f"{name}Keys"), "Key")
        nag.acknowledge(key, {"SMG4": "It is a test's."})
        stack = EngineStack(app, f"{name}Engine", stage=stage, network=network, engine_key=key)
        resolved[name] = {
            "base_url": json.dumps(stack.resolve(stack.base_url)),
            "service_arn": stack.resolve(stack.service_arn),
        }
    nag.check(app)
    values.write_text(json.dumps({"stacks": resolved, "findings": synthesise(app)}))
