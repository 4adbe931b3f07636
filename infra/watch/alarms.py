"""Alarms on which an operator has to act; docs/operations.md says how.

For no alarm is missing data a fault: these metrics are written only while something happens, and a stage
without users is healthy. Whether an engine is running has an alarm of its own. A sum with `+` is empty where
one metric was never written, so they are SUM and MAX over lists, which skip it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_rds as rds

from infra.inference.metrics import WAITING
from infra.stages import Engine, Stage
from infra.watch import metrics
from infra.watch.alarm_rule import AlarmRule, share, unserved
from infra.watch.metrics import FIVE_MINUTES, HOUR, MINUTE, calculated, of_machines, of_model, of_outcome

_BROKEN_PERCENT = 2
_FIRST_BYTE_MS = 8_000
_FAILURES = 3
_THROTTLES = 5
_FULL_PERCENT = 95
_NO_ENGINE_PERIODS = 2
_IDLE_HOURS = 3


def of_callers(stage: Stage, api: apigateway.RestApi) -> Iterator[AlarmRule]:
    """Yield the alarms on what callers notice."""
    errors = api.metric_server_error(statistic="Sum", period=FIVE_MINUTES)
    count = api.metric_count(statistic="Sum", period=FIVE_MINUTES)
    yield AlarmRule(
        id="Errors",
        text=f"More than {_BROKEN_PERCENT} % of the replies are 5xx.",
        heading="server-errors",
        metric=share({"bad": errors}, count, "5xx, %"),
        threshold=_BROKEN_PERCENT,
        periods=2,
    )
    broken = {name: of_outcome(stage, name, period=FIVE_MINUTES) for name in ("error", "timeout")}
    yield AlarmRule(
        id="Broken",
        text=f"More than {_BROKEN_PERCENT} % of the completions broke, most of them after their status.",
        heading="broken-completions",
        metric=share(broken, of_model(stage, "requests", label="requests", period=FIVE_MINUTES), "broken, %"),
        threshold=_BROKEN_PERCENT,
        periods=2,
    )
    yield AlarmRule(
        id="SlowFirstByte",
        text=f"One in twenty callers waits longer than {_FIRST_BYTE_MS // 1000} s for a first byte.",
        heading="slow-first-byte",
        metric=of_model(stage, "first_byte_ms", "p95", label="p95", period=FIVE_MINUTES),
        threshold=_FIRST_BYTE_MS,
        periods=3,
    )


def of_new_version(stage: Stage) -> AlarmRule:
    """Return the alarm that rolls back a version of the chat function, which has a tenth of the requests."""
    broken = {name: of_outcome(stage, name, period=MINUTE) for name in ("error", "timeout")}
    count = of_model(stage, "requests", label="requests", period=MINUTE)
    return AlarmRule(
        id="NewVersionBreaks",
        text=f"More than {_BROKEN_PERCENT} % of the completions of a minute broke during a deployment.",
        heading="broken-completions",
        metric=share(broken, count, "broken, %", period=MINUTE),
        threshold=_BROKEN_PERCENT,
        periods=1,
    )


def of_function(name: str, function: str) -> Iterator[AlarmRule]:
    """Yield the alarms on a function, by what it is called here and by its own name."""
    yield AlarmRule(
        id=f"{name}Fails",
        text=f"The {name.lower()} function keeps crashing or running out of time.",
        heading="a-function-fails",
        metric=metrics.of_function(function, "Errors"),
        threshold=_FAILURES,
        periods=2,
    )
    yield AlarmRule(
        id=f"{name}Throttled",
        text=f"The {name.lower()} function needs more environments at once than it may have.",
        heading="throttled-function",
        metric=metrics.of_function(function, "Throttles"),
        threshold=_THROTTLES,
        periods=2,
    )


def of_inference(stage: Stage, engine: Engine) -> Iterator[AlarmRule]:
    """Yield the alarms on the engine; one that scales to zero has the time to start."""
    waiting = of_model(stage, WAITING, "Average", label="waiting, by task")
    yield AlarmRule(
        id="LongQueue",
        text="Requests wait for the engine, and no more tasks have started.",
        heading="long-queue",
        metric=waiting,
        threshold=2 * engine.waiting_target,
        periods=10,
    )
    start_s = engine.start_s if engine.scales_to_zero else 0
    yield AlarmRule(
        id="NoEngine",
        text="There are requests for completions, and no engine is running.",
        heading="no-engine",
        metric=unserved(stage),
        threshold=0,
        periods=_NO_ENGINE_PERIODS + math.ceil(start_s / FIVE_MINUTES.to_seconds()),
    )


def of_idle_engine(stage: Stage, machines: autoscaling.IAutoScalingGroup) -> AlarmRule:
    """Return the alarm on an engine that should have scaled to zero.

    It does not depend on what stops the engine: not on the engine's reports, nor on the scaler.
    """
    requests = of_model(stage, "requests", label="requests", period=HOUR)
    running = of_machines(machines, "Minimum", label="machines", period=HOUR)
    # Where there were no requests, or never any, 0 takes the place of their number.
    served = calculated("running * 0", {"running": running}, label="none", period=HOUR)
    return AlarmRule(
        id="IdleEngine",
        text=f"A GPU machine has been running for {_IDLE_HOURS} hours without requests, and is paid for.",
        heading="idle-engine",
        metric=calculated(
            "IF(MAX([requests, served]) < 1, running, 0)",
            {"requests": requests, "served": served, "running": running},
            label="machines without requests",
            period=HOUR,
        ),
        threshold=0,
        periods=_IDLE_HOURS,
    )


def of_stores(table: dynamodb.ITable, database: rds.DatabaseCluster) -> Iterator[AlarmRule]:
    """Yield the alarms on the table and the database."""
    throttled = {
        side: table.metric(f"{side.title()}ThrottleEvents", statistic="Sum", period=FIVE_MINUTES)
        for side in ("read", "write")
    }
    yield AlarmRule(
        id="TableThrottled",
        text="DynamoDB throttled requests about keys.",
        heading="throttled-table",
        metric=calculated("SUM([read, write])", throttled, label="throttled", period=FIVE_MINUTES),
        threshold=0,
        periods=2,
    )
    yield AlarmRule(
        id="DatabaseFull",
        text="The todos' database has been at its highest capacity for a quarter of an hour.",
        heading="database-at-its-highest-capacity",
        metric=database.metric_acu_utilization(statistic="Average", period=FIVE_MINUTES),
        threshold=_FULL_PERCENT,
        periods=3,
    )
