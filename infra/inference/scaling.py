"""How many tasks there are: more while requests wait, none while there are no requests."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra.inference.metrics import RUNNING, WAITING, metric
from infra.stages import Engine, Stage

_OUT_COOLDOWN = Duration.minutes(3)
_IN_COOLDOWN = Duration.minutes(10)
# An engine that is started again right after it was stopped is not stopped for so long.
_STOP_COOLDOWN = Duration.minutes(5)


class Scaling(Construct):
    """The number of tasks of an engine's service."""

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
        if most > max(least, 1):
            # Keeps the number of waiting requests near the stage's, on average over the tasks.
            scaling.TargetTrackingScalingPolicy(
                self,
                "Queue",
                scaling_target=target,
                custom_metric=metric(stage, WAITING, "Average"),
                target_value=engine.waiting_target,
                scale_out_cooldown=_OUT_COOLDOWN,
                scale_in_cooldown=_IN_COOLDOWN,
                # That no request waits does not mean that none runs: this policy must not stop the last task.
                disable_scale_in=engine.scales_to_zero,
            )
        if engine.scales_to_zero:
            self._scale_to_zero(target, engine.idle_minutes, _activity(stage, cluster, service))

    def _scale_to_zero(
        self, target: scaling.ScalableTarget, minutes: int, activity: cloudwatch.IMetric
    ) -> None:
        """Stop all tasks after so many minutes without activity.

        The alarm's action repeats each minute while the alarm lasts. So a service that has no task counts as
        active, and the alarm ends. And the metric `wakes`, written each minute for each request that waits
        for the engine, keeps a starting engine from being stopped.
        """
        action = scaling.StepScalingAction(
            self,
            "Sleep",
            scaling_target=target,
            adjustment_type=scaling.AdjustmentType.EXACT_CAPACITY,
            cooldown=_STOP_COOLDOWN,
        )
        action.add_adjustment(adjustment=0, upper_bound=0)
        quiet = cloudwatch.Alarm(
            self,
            "Quiet",
            alarm_description=f"No requests for {minutes} minutes: the engine scales to zero.",
            metric=activity,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            evaluation_periods=minutes,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        quiet.add_alarm_action(actions.ApplicationScalingAction(action))


def _activity(stage: Stage, cluster: ecs.ICluster, service: ecs.BaseService) -> cloudwatch.MathExpression:
    """Return a number that is 0 while the engine has tasks and there are no requests."""
    desired = cloudwatch.Metric(
        namespace="ECS/ContainerInsights",
        metric_name="DesiredTaskCount",
        dimensions_map={"ClusterName": cluster.cluster_name, "ServiceName": service.service_name},
        statistic="Maximum",
        period=Duration.minutes(1),
    )
    stopped = cloudwatch.MathExpression(
        expression="FILL(desired, 1) < 1",
        using_metrics={"desired": desired},
        period=Duration.minutes(1),
    )
    # A sum over a list: a series that has never had a value is left out, and does not hide the others.
    return cloudwatch.MathExpression(
        expression="SUM([FILL(wakes, 0), FILL(requests, 0), FILL(running, 0), FILL(waiting, 0), stopped])",
        using_metrics={
            "wakes": metric(stage, "wakes", "Sum"),
            "requests": metric(stage, "requests", "Sum"),
            "running": metric(stage, RUNNING, "Maximum"),
            "waiting": metric(stage, WAITING, "Maximum"),
            "stopped": stopped,
        },
        period=Duration.minutes(1),
        label="activity",
    )
