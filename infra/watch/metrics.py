"""Metrics by what they mean: those of AWS, and those that our own code writes.

A test compares the names of our own with `functions/shared/metrics.py` and with the engine's reporter.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.stages import Stage

# In the order in which they are stacked.
OUTCOMES = ("ok", "cut", "refused", "timeout", "error")
# The model of a request that named no model of ours.
NO_MODEL = "-"
MINUTE = Duration.minutes(1)
FIVE_MINUTES = Duration.minutes(5)
HOUR = Duration.hours(1)


def of_model(
    stage: Stage, name: str, statistic: str = "Sum", *, label: str, period: Duration = MINUTE
) -> cloudwatch.Metric:
    """Return a metric of all requests to the model, from the chat function or its engine."""
    return cloudwatch.Metric(
        namespace=stage.namespace,
        metric_name=name,
        dimensions_map={"model": stage.listed_models[0].id},
        statistic=statistic,
        label=label,
        period=period,
    )


def of_outcome(
    stage: Stage, outcome: str, *, model: str | None = None, period: Duration = MINUTE
) -> cloudwatch.Metric:
    """Return the number of requests that ended so: those to the stage's model, or to another."""
    return cloudwatch.Metric(
        namespace=stage.namespace,
        metric_name="requests",
        dimensions_map={"model": model or stage.listed_models[0].id, "outcome": outcome},
        statistic="Sum",
        label=outcome if model != NO_MODEL else f"{outcome}, before any model",
        period=period,
    )


def of_function(
    name: str,
    metric: str,
    statistic: str = "Sum",
    *,
    label: str | None = None,
    period: Duration = FIVE_MINUTES,
) -> cloudwatch.Metric:
    """Return a metric of a function, by the function's name."""
    return cloudwatch.Metric(
        namespace="AWS/Lambda",
        metric_name=metric,
        dimensions_map={"FunctionName": name},
        statistic=statistic,
        label=label,
        period=period,
    )


def of_environments(name: str, metric: str, *, label: str) -> cloudwatch.MathExpression:
    """Return a metric of the environments of a function on managed instances, each version's highest.

    By its dimensions it is that of one version, whose number only a deployment knows; so it is searched for,
    which dashboards can and alarms cannot.
    Source: AWS Lambda, "CloudWatch metrics for Lambda Managed Instances", read 2026-11-28: every 5 minutes.
    """
    search = f'Namespace="AWS/Lambda" MetricName="{metric}" FunctionName="{name}"'
    return calculated(f"SEARCH('{search}', 'Maximum', 300)", {}, label=label, period=FIVE_MINUTES)


def of_machines(
    machines: autoscaling.IAutoScalingGroup,
    statistic: str = "Average",
    *,
    label: str,
    period: Duration = MINUTE,
) -> cloudwatch.Metric:
    """Return the number of a group's machines that run.

    Source: Amazon EC2 Auto Scaling, "CloudWatch metrics for Amazon EC2 Auto Scaling", read 2026-11-27: free,
            each minute, where the group has its metrics enabled.
    """
    return cloudwatch.Metric(
        namespace="AWS/AutoScaling",
        metric_name="GroupInServiceInstances",
        dimensions_map={"AutoScalingGroupName": machines.auto_scaling_group_name},
        statistic=statistic,
        label=label,
        period=period,
    )


def calculated(
    expression: str, metrics: Mapping[str, cloudwatch.IMetric], *, label: str, period: Duration = MINUTE
) -> cloudwatch.MathExpression:
    """Return what is calculated of other metrics."""
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, label=label, period=period)
