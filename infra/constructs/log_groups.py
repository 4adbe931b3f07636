"""Log groups of CloudWatch, and for how long they are kept."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage

# Days → CloudWatch's own name for them; it accepts no others.
RETENTIONS = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    731: logs.RetentionDays.TWO_YEARS,
}


def log_group(
    scope: Construct, construct_id: str, *, stage: Stage, name: str | None = None, is_data: bool = False
) -> logs.LogGroup:
    """Make a log group that keeps its events for the stage's number of days.

    Shape:  `is_data`: where the stage keeps its data, the log group stays when the stack is destroyed.
    """
    retained = is_data and stage.keeps_data
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=RETENTIONS[stage.log_days],
        removal_policy=RemovalPolicy.RETAIN if retained else RemovalPolicy.DESTROY,
    )
