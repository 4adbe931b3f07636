"""One alarm, and what alarms calculate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.inference.metrics import RUNNING
from infra.stages import Stage
from infra.watch.metrics import FIVE_MINUTES, calculated, of_model

RUNBOOK = "docs/operations.md"
# A share of fewer requests than these in five minutes says nothing.
_LEAST_REQUESTS = 20


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One alarm: it goes off when the metric is over `most` in each of the last `periods`.

    Shape:  `says`: what is wrong. `heading`: its part of the runbook.
    """

    id: str
    says: str
    heading: str
    metric: cloudwatch.IMetric
    most: float
    periods: int

    def add_to(self, scope: Construct) -> cloudwatch.Alarm:
        """Make the alarm."""
        return cloudwatch.Alarm(
            scope,
            self.id,
            alarm_description=f"{self.says} {RUNBOOK}#{self.heading}",
            metric=self.metric,
            threshold=self.most,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=self.periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def share(
    bad: Mapping[str, cloudwatch.IMetric], count: cloudwatch.IMetric, label: str
) -> cloudwatch.MathExpression:
    """Return how many in a hundred are bad; 0 where there are too few to say."""
    return calculated(
        f"IF(count >= {_LEAST_REQUESTS}, 100 * SUM([{', '.join(bad)}]) / count, 0)",
        {**bad, "count": count},
        label=label,
        period=FIVE_MINUTES,
    )


def asked_in_vain(stage: Stage) -> cloudwatch.MathExpression:
    """Return 1 where there were requests, and no engine said how many of them are at work.

    An engine that is not there says nothing: in its place stands a -1 wherever there were requests.
    """
    asked = of_model(stage, "requests", label="requests", period=FIVE_MINUTES)
    silent = calculated("asked * 0 - 1", {"asked": asked}, label="silent", period=FIVE_MINUTES)
    running = of_model(stage, RUNNING, "Maximum", label="running", period=FIVE_MINUTES)
    return calculated(
        "IF(MAX([running, silent]) < 0, 1, 0)",
        {"running": running, "silent": silent},
        label="asked in vain",
        period=FIVE_MINUTES,
    )
