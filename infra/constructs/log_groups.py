"""Logs that may outlive what writes them."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.retention import retention
from infra.stages import Stage


def kept_log(scope: Construct, construct_id: str, *, stage: Stage) -> logs.LogGroup:
    """Make a log; where the stage keeps its data, it outlives what writes it."""
    return logs.LogGroup(
        scope,
        construct_id,
        retention=retention(stage.log_days),
        removal_policy=RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY,
    )
