"""How many tasks there are: more while requests wait, none while nobody asks."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra.inference.metrics import RUNNING, WAITING, metric
from infra.stages import Stage

_OUT_COOLDOWN = Duration.minutes(3)
_IN_COOLDOWN = Duration.minutes(10)
# After it was put to sleep, an engine that is woken at once is left alone for so long.
_SLEEP_COOLDOWN = Duration.minutes(5)


class Scaling(Construct):
    """The number of tasks of an engine's service."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        cluster: ecs.ICluster,
        service: ecs.BaseService,
    ) -> None:
        super().__init__(scope, construct_id)
        least, most = stage.engine.tasks
        self._stage, self._engine, self._cluster, self._service = stage, stage.engine, cluster, service
        self._target = scaling.ScalableTarget(
            self,
            "Target",
            service_namespace=scaling.ServiceNamespace.ECS,
            resource_id=f"service/{cluster.cluster_name}/{service.service_name}",
            scalable_dimension="ecs:service:DesiredCount",
            min_capacity=least,
            max_capacity=most,
        )
        if most > max(least, 1):
            self._follow_the_queue()
        if stage.engine.rests:
            self._sleep_when_quiet()

    def _follow_the_queue(self) -> None:
        """Keep the requests that wait for a task near the stage's number, on average over the tasks."""
        scaling.TargetTrackingScalingPolicy(
            self,
            "Queue",
            scaling_target=self._target,
            custom_metric=metric(self._stage, WAITING, "Average"),
            target_value=self._engine.waiting_target,
            scale_out_cooldown=_OUT_COOLDOWN,
            scale_in_cooldown=_IN_COOLDOWN,
            # That nothing waits does not mean that nothing runs: the last task is not for this to stop.
            disable_scale_in=self._engine.rests,
        )

    def _sleep_when_quiet(self) -> None:
        """Stop all tasks once nobody has asked for the stage's minutes.

        The alarm acts again each minute while it lasts. So it ends as soon as there is nothing to stop: what
        ECS tells of the wanted tasks counts as life while that is none. And `wakes`, which whoever waits for
        the engine writes each minute, keeps a starting engine from being stopped.
        """
        action = scaling.StepScalingAction(
            self,
            "Sleep",
            scaling_target=self._target,
            adjustment_type=scaling.AdjustmentType.EXACT_CAPACITY,
            cooldown=_SLEEP_COOLDOWN,
        )
        action.add_adjustment(adjustment=0, upper_bound=0)
        quiet = cloudwatch.Alarm(
            self,
            "Quiet",
            alarm_description=f"Nobody asked for {self._engine.quiet_minutes} minutes: the engine rests.",
            metric=self._life(),
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            threshold=1,
            evaluation_periods=self._engine.quiet_minutes,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        quiet.add_alarm_action(actions.ApplicationScalingAction(action))

    def _life(self) -> cloudwatch.MathExpression:
        """Return a number that is 0 while the engine is wanted and nobody asks."""
        wanted = cloudwatch.Metric(
            namespace="ECS/ContainerInsights",
            metric_name="DesiredTaskCount",
            dimensions_map={
                "ClusterName": self._cluster.cluster_name,
                "ServiceName": self._service.service_name,
            },
            statistic="Maximum",
            period=Duration.minutes(1),
        )
        # A sum over a list: a series that has never had a value is left out, and does not hide the others.
        return cloudwatch.MathExpression(
            expression="SUM([FILL(wakes, 0), FILL(requests, 0), FILL(running, 0), FILL(waiting, 0), asleep])",
            using_metrics={
                "wakes": metric(self._stage, "wakes", "Sum"),
                "requests": metric(self._stage, "requests", "Sum"),
                "running": metric(self._stage, RUNNING, "Maximum"),
                "waiting": metric(self._stage, WAITING, "Maximum"),
                "asleep": cloudwatch.MathExpression(
                    expression="FILL(wanted, 1) < 1",
                    using_metrics={"wanted": wanted},
                    period=Duration.minutes(1),
                ),
            },
            period=Duration.minutes(1),
            label="signs of life",
        )
