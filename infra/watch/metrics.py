"""Metrics by what they mean: those of AWS, and those that our own code writes.

A test compares the names of our own with `functions/shared/metrics.py` and with the engine's reporter.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs

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


def of_service(
    service: ecs.BaseService, name: str, statistic: str = "Average", *, label: str, period: Duration = MINUTE
) -> cloudwatch.Metric:
    """Return a metric of a service's tasks from ECS; the cluster has container insights."""
    return _of_containers(
        {**_cluster(service), "ServiceName": service.service_name}, name, statistic, label, period
    )


def _cluster(service: ecs.BaseService) -> dict[str, str]:
    return {"ClusterName": service.cluster.cluster_name}


def _of_containers(
    dimensions: Mapping[str, str], name: str, statistic: str, label: str, period: Duration
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="ECS/ContainerInsights",
        metric_name=name,
        dimensions_map=dimensions,
        statistic=statistic,
        label=label,
        period=period,
    )


def calculated(
    expression: str, metrics: Mapping[str, cloudwatch.IMetric], *, label: str, period: Duration = MINUTE
) -> cloudwatch.MathExpression:
    """Return what is calculated of other metrics."""
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, label=label, period=period)
