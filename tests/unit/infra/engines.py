"""The engine's stack in all its variants, synthesised once for all tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_secretsmanager as secretsmanager

from infra import nag
from infra.bundles import Bundles
from infra.stacks.engine import EngineStack
from infra.stacks.network import NetworkStack
from infra.stacks.supply import SupplyStack
from infra.stages import DEV, PROD, Engine, Model, Stage

from .templates import CONTEXT, synthesise

Json = dict[str, Any]
_LARGE = Engine(
    model=Model(id="Qwen/Qwen3-32B", weights_gib=62, reasoning_parser=None, tool_parser=None),
    image="registry.example.com/engines/vllm@sha256:" + "ab" * 32,
    instance_type="g6.12xlarge",
    gpus=4,
    cpus=40,
    memory_gib=160,
    registry_secret="arn:aws:secretsmanager:eu-central-1:111122223333:secret:registry-AbCdEf",
    idle_minutes=45,
    start_s=700,
)
_SEVERAL = replace(
    _LARGE,
    model=Model(id="Qwen/Qwen2.5-72B", weights_gib=136),
    machines=2,
    tasks=(1, 1),
    registry_secret=None,
)
_DEV = DEV.engine or Engine()
VARIANTS = {
    "dev": DEV,
    "prod": PROD,
    "spot": replace(DEV, name="spot", engine=replace(_DEV, spot=True, model=Model(revision="v2"))),
    "pool": replace(DEV, name="pool", engine=replace(_DEV, warm_pool=1)),
    "large": replace(DEV, name="large", engine=_LARGE),
    "several": replace(PROD, name="several", engine=_SEVERAL),
}
# The supply's own stack → that of what runs.
_STACKS = ("Supply", "Engine")


@dataclass(frozen=True, kw_only=True)
class EngineTemplate:
    """One variant's templates, and what other stacks read of them.

    Shape:  `resources` of both stacks, `texts` by stack.
    """

    stage: Stage
    resources: dict[str, Json]
    texts: dict[str, str]
    base_url: str

    @property
    def engine(self) -> Engine:
        """The stage's engine, which every variant has."""
        assert self.stage.engine is not None
        return self.stage.engine

    @property
    def text(self) -> str:
        """The template of what runs."""
        return self.texts["Engine"]

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

    def task(self, rank: int = 0) -> Json:
        """Return the task of a machine."""
        family = f"{self.stage.name}EngineTask{rank or ''}"
        (found,) = (
            task
            for task in self.all("AWS::ECS::TaskDefinition").values()
            if re.sub("[0-9A-F]{8}$", "", task["Family"]) == family
        )
        return found

    def container(self, name: str, rank: int = 0) -> Json:
        """Return a container of a machine's task."""
        (found,) = (each for each in self.task(rank)["ContainerDefinitions"] if each["Name"] == name)
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
    templates = {}
    for name, stage in VARIANTS.items():
        texts = {stack: (folder / f"{name}{stack}.template.json").read_text() for stack in _STACKS}
        resources = {
            key: each for text in texts.values() for key, each in json.loads(text)["Resources"].items()
        }
        templates[name] = EngineTemplate(
            stage=stage, resources=resources, texts=texts, base_url=read["base_urls"][name]
        )
    return EngineVariants(templates=templates, findings=read["findings"])


def _synthesise_variants(folder: Path, values: Path) -> None:
    app = App(outdir=str(folder), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
    bundles = Bundles(architecture="arm64")
    base_urls = {}
    for name, stage in VARIANTS.items():
        assert stage.engine is not None
        network = NetworkStack(app, f"{name}Network", stage=stage)
        data = Stack(app, f"{name}Data")
        key = secretsmanager.Secret(data, "Key")
        partition = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        table = dynamodb.Table(data, "Table", partition_key=partition)
        nag.acknowledge(data, {"SMG4": "It is a test's.", "DDB3": "It is a test's."})
        supply = SupplyStack(app, f"{name}Supply", stage=stage, engine=stage.engine)
        stack = EngineStack(
            app,
            f"{name}Engine",
            stage=stage,
            engine=stage.engine,
            network=network,
            supply=supply,
            engine_key=key,
            table=table,
            bundles=bundles,
        )
        base_urls[name] = json.dumps(stack.resolve(stack.base_url))
    nag.check(app)
    values.write_text(json.dumps({"base_urls": base_urls, "findings": synthesise(app)}))
