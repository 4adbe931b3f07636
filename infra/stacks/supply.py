"""What the engine is made of: its image and its model's weights, and the build that copies them here.

A stack of its own, in which nothing waits for the build: an engine whose first deployment fails leaves what
was copied where it is.
"""

from __future__ import annotations

from aws_cdk import Stack
from constructs import Construct

from infra.inference.supply import Supply
from infra.stages import Engine, Stage


class SupplyStack(Stack):
    """The registry, the bucket and the build."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, engine: Engine) -> None:
        super().__init__(
            scope, construct_id, description=f"Chatbot API, {stage.name}: the engine's image and weights"
        )
        self.supply = Supply(self, "Supply", stage=stage, engine=engine)
