"""One alarm, and the expressions of alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.inference.metrics import RUNNING
from infra.stages import Stage
from infra.watch.metrics import FIVE_MINUTES, calculated, of_model

RUNBOOK = "docs/operations.md"
# A share of fewer requests than this in a period means nothing.
_MIN_REQUESTS = 20


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """One alarm: it goes off when the metric is over `threshold` in each of the last `periods`.

    Shape:  `text`: what is wrong. `heading`: its part of the runbook.
    """

    id: str
    text: str
    heading: str
    metric: cloudwatch.IMetric
    threshold: float
    periods: int

    def add_to(self, scope: Construct) -> cloudwatch.Alarm:
        """Make the alarm."""
        return cloudwatch.Alarm(
            scope,
            self.id,
            alarm_description=f"{self.text} {RUNBOOK}#{self.heading}",
            metric=self.metric,
            threshold=self.threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=self.periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def share(
    bad: Mapping[str, cloudwatch.IMetric],
    count: cloudwatch.IMetric,
    label: str,
    *,
    period: Duration = FIVE_MINUTES,
) -> cloudwatch.MathExpression:
    """Return the percentage of bad ones; 0 where there are too few requests."""
    return calculated(
        f"IF(count >= {_MIN_REQUESTS}, 100 * SUM([{', '.join(bad)}]) / count, 0)",
        {**bad, "count": count},
        label=label,
        period=period,
    )


def unserved(stage: Stage) -> cloudwatch.MathExpression:
    """Return 1 where there were requests, and no engine reported how many of them are running.

    An engine that is not there reports nothing: where there were requests, -1 takes the place of its metric.
    """
    requests = of_model(stage, "requests", label="requests", period=FIVE_MINUTES)
    silent = calculated("requests * 0 - 1", {"requests": requests}, label="silent", period=FIVE_MINUTES)
    running = of_model(stage, RUNNING, "Maximum", label="running", period=FIVE_MINUTES)
    return calculated(
        "IF(MAX([running, silent]) < 0, 1, 0)",
        {"running": running, "silent": silent},
        label="requests without an engine",
        period=FIVE_MINUTES,
    )
