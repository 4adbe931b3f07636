"""How many tasks an engine has that always runs: more while requests wait.

The number of an engine that scales to zero is set by the scaler alone.
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra.inference.metrics import WAITING, metric
from infra.stages import Engine, Stage

_OUT_COOLDOWN = Duration.minutes(3)
_IN_COOLDOWN = Duration.minutes(10)


class QueueScaling(Construct):
    """Keeps the number of waiting requests near the stage's, on average over the tasks."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        engine: Engine,
        cluster: ecs.ICluster,
        service: ecs.BaseService,
    ) -> None:
        super().__init__(scope, construct_id)
        least, most = engine.tasks
        target = scaling.ScalableTarget(
            self,
            "Target",
            service_namespace=scaling.ServiceNamespace.ECS,
            resource_id=f"service/{cluster.cluster_name}/{service.service_name}",
            scalable_dimension="ecs:service:DesiredCount",
            min_capacity=least,
            max_capacity=most,
        )
        scaling.TargetTrackingScalingPolicy(
            self,
            "Queue",
            scaling_target=target,
            custom_metric=metric(stage, WAITING, "Average"),
            target_value=engine.waiting_target,
            scale_out_cooldown=_OUT_COOLDOWN,
            scale_in_cooldown=_IN_COOLDOWN,
        )
