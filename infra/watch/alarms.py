"""Alarms that mean that somebody has to do something; docs/operations.md says what.

No alarm takes missing data for a fault: these metrics are written only while something happens, and a stage
that nobody uses is well. Whether an engine is there at all is asked by an alarm of its own. A metric that was
never written makes sums of `+` empty, so they are SUM and MAX over lists, which pass over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds

from infra.inference.metrics import WAITING
from infra.stages import Stage
from infra.watch.alarm_rule import Fault, asked_in_vain, share
from infra.watch.metrics import FIVE_MINUTES, calculated, of_model, of_outcome

_BROKEN_PERCENT = 2
_FIRST_BYTE_MS = 8_000
_FAILURES = 3
_THROTTLES = 5
_FULL_PERCENT = 95
_PATIENCE = 2


def of_callers(stage: Stage, api: apigateway.RestApi) -> Iterator[Fault]:
    """Yield what callers notice."""
    errors = api.metric_server_error(statistic="Sum", period=FIVE_MINUTES)
    count = api.metric_count(statistic="Sum", period=FIVE_MINUTES)
    yield Fault(
        id="Errors",
        says=f"More than {_BROKEN_PERCENT} % of the replies are 5xx.",
        heading="errors-at-the-door",
        metric=share({"bad": errors}, count, "5xx, %"),
        most=_BROKEN_PERCENT,
        periods=2,
    )
    broken = {name: of_outcome(stage, name, period=FIVE_MINUTES) for name in ("error", "timeout")}
    yield Fault(
        id="Broken",
        says=f"More than {_BROKEN_PERCENT} % of the completions broke, most of them after their status.",
        heading="broken-completions",
        metric=share(broken, of_model(stage, "requests", label="requests", period=FIVE_MINUTES), "broken, %"),
        most=_BROKEN_PERCENT,
        periods=2,
    )
    yield Fault(
        id="SlowFirstByte",
        says=f"One in twenty callers waits longer than {_FIRST_BYTE_MS // 1000} s for a first byte.",
        heading="slow-first-byte",
        metric=of_model(stage, "first_byte_ms", "p95", label="p95", period=FIVE_MINUTES),
        most=_FIRST_BYTE_MS,
        periods=3,
    )


def of_function(name: str, function: lambda_.Function) -> Iterator[Fault]:
    """Yield what a function cannot do."""
    yield Fault(
        id=f"{name}Fails",
        says=f"The {name.lower()} function crashed or ran out of time, again and again.",
        heading="a-function-fails",
        metric=function.metric_errors(period=FIVE_MINUTES),
        most=_FAILURES,
        periods=2,
    )
    yield Fault(
        id=f"{name}Throttled",
        says=f"The {name.lower()} function is asked for more environments at once than it may have.",
        heading="throttled-function",
        metric=function.metric_throttles(period=FIVE_MINUTES),
        most=_THROTTLES,
        periods=2,
    )


def of_inference(stage: Stage) -> Iterator[Fault]:
    """Yield what the engine cannot do. One that sleeps is given the time that its start takes."""
    waiting = of_model(stage, WAITING, "Average", label="waiting, by task")
    yield Fault(
        id="LongQueue",
        says="Requests wait for the engine, and more tasks have not come.",
        heading="long-queue",
        metric=waiting,
        most=2 * stage.engine.waiting_target,
        periods=10,
    )
    start_s = stage.engine.start_s if stage.engine.rests else 0
    yield Fault(
        id="NoEngine",
        says="Completions are asked for, and no engine is there.",
        heading="no-engine",
        metric=asked_in_vain(stage),
        most=0,
        periods=_PATIENCE + math.ceil(start_s / FIVE_MINUTES.to_seconds()),
    )


def of_stores(table: dynamodb.ITable, database: rds.DatabaseCluster) -> Iterator[Fault]:
    """Yield what keeps the data from us."""
    throttled = {
        side: table.metric(f"{side.title()}ThrottleEvents", statistic="Sum", period=FIVE_MINUTES)
        for side in ("read", "write")
    }
    yield Fault(
        id="TableThrottled",
        says="DynamoDB turned away questions about keys.",
        heading="throttled-table",
        metric=calculated("SUM([read, write])", throttled, label="throttled", period=FIVE_MINUTES),
        most=0,
        periods=2,
    )
    yield Fault(
        id="DatabaseFull",
        says="The todos' database has been at its highest capacity for a quarter of an hour.",
        heading="database-at-its-highest-capacity",
        metric=database.metric_acu_utilization(statistic="Average", period=FIVE_MINUTES),
        most=_FULL_PERCENT,
        periods=3,
    )
