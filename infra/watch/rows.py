"""The rows of the dashboard: what callers get, the chat function, the engine, the todos."""

from __future__ import annotations

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_rds as rds

from infra.inference.metrics import CACHE, RUNNING, WAITING
from infra.stages import Database, Stage
from infra.watch.metrics import (
    MINUTE,
    NO_MODEL,
    OUTCOMES,
    of_environments,
    of_function,
    of_machines,
    of_model,
    of_outcome,
)
from infra.watch.widgets import Row, graph, graphs, heading

_PERCENTILES = ("p50", "p95")


def traffic(stage: Stage, api: apigateway.RestApi, chat: str) -> list[Row]:
    """Return what callers get, of the chat function with this name."""
    outcomes = [of_outcome(stage, outcome) for outcome in OUTCOMES]
    tokens = [of_model(stage, f"{kind}_tokens", label=kind) for kind in ("prompt", "completion")]
    waits = [of_model(stage, "first_byte_ms", each, label=each) for each in _PERCENTILES]
    errors = [
        api.metric_client_error(statistic="Sum", label="4xx", period=MINUTE),
        api.metric_server_error(statistic="Sum", label="5xx", period=MINUTE),
        of_function(chat, "Url4xxCount", label="4xx, Function URL", period=MINUTE),
        of_function(chat, "Url5xxCount", label="5xx, Function URL", period=MINUTE),
    ]
    return [
        heading("## Traffic\nWhat callers get. `cut`: the caller disconnected; `refused`: by a limit."),
        graphs(
            graph(
                "Completions by outcome",
                "requests/min",
                [*outcomes, of_outcome(stage, "refused", model=NO_MODEL)],
                stacked=True,
            ),
            graph("Tokens", "tokens/min", tokens, stacked=True),
            graph("First byte", "ms", waits),
            graph("Errors", "replies/min", errors),
        ),
    ]


def functions(chat: str, table: dynamodb.ITable) -> list[Row]:
    """Return the metrics of the chat function with this name, and of its table of keys."""
    throttled = [
        table.metric(
            f"{side}ThrottleEvents", statistic="Sum", label=f"{side.lower()}s throttled", period=MINUTE
        )
        for side in ("Read", "Write")
    ]
    units = [
        table.metric_consumed_read_capacity_units(label="reads", period=MINUTE),
        table.metric_consumed_write_capacity_units(label="writes", period=MINUTE),
    ]
    return [
        heading("## Chat function\nA duration is that of a whole stream. Throttled callers get 429."),
        graphs(*_function(chat), graph("Table of keys and usage", "units/min", [*units, *throttled])),
    ]


def environments(chat: str) -> Row:
    """Return what keeps the environments of a function on managed instances from taking more requests."""

    def metrics(prefix: str, **labels: str) -> list[cloudwatch.IMetric]:
        return [of_environments(chat, f"{prefix}{name}", label=label) for name, label in labels.items()]

    slots = metrics("ExecutionEnvironmentConcurrency", **{"": "fullest", "Limit": "limit"})
    use = metrics("ExecutionEnvironment", CPUUtilization="CPU", MemoryUtilization="memory")
    reasons = [
        of_environments(chat, f"{name}Throttles", label=label)
        for name, label in {"Concurrency": "slots", "CPU": "CPU", "Memory": "memory", "Disk": "disk"}.items()
    ]
    return graphs(
        graph("Requests in one environment", "count", slots, width=8),
        graph("Use of the environments", "%", use, most=100, width=8),
        graph("Throttled for want of", "count/5 min", reasons, width=8),
    )


def inference(stage: Stage, service: ecs.BaseService, machines: autoscaling.IAutoScalingGroup) -> list[Row]:
    """Return the metrics of the engine."""
    load = [
        of_model(stage, RUNNING, "Average", label="running, by task"),
        of_model(stage, WAITING, "Average", label="waiting, by task"),
    ]
    cache = of_model(stage, CACHE, "Maximum", label="fullest task")
    starts = [
        of_machines(machines, "Maximum", label="machines"),
        of_model(stage, "starts", label="requests that wait for a start"),
        of_model(stage, "fallbacks", label="requests that a fallback answers"),
    ]
    use: list[cloudwatch.IMetric] = [
        service.metric_cpu_utilization(label="CPU", period=MINUTE),
        service.metric_memory_utilization(label="memory", period=MINUTE),
    ]
    return [
        heading("## Engine\nRequests wait when the cache is full. An engine scaled to zero has no metrics."),
        graphs(
            graph("Requests in the engine", "count", load),
            graph("KV cache in use", "share", [cache], most=1),
            graph("Machines and starts", "count/min", starts),
            graph("Use of the machines", "%", use, most=100),
        ),
    ]


def todos(function: str, cluster: rds.DatabaseCluster, database: Database) -> list[Row]:
    """Return the metrics of the todo function, and of its database."""
    capacity = cluster.metric_serverless_database_capacity(label="capacity", period=MINUTE)
    connections = cluster.metric_database_connections(statistic="Maximum", label="connections", period=MINUTE)
    return [
        heading("## Todos\nA database that was paused needs about 15 s for its first response."),
        graphs(
            *_function(function, width=5),
            graph("Database: capacity", "ACU", [capacity], most=database.capacity[1], width=5),
            graph("Database: connections", "count", [connections], width=4),
        ),
    ]


def _function(name: str, width: int = 6) -> list[cloudwatch.GraphWidget]:
    counts = [
        of_function(name, each, label=each.lower(), period=MINUTE)
        for each in ("Invocations", "Errors", "Throttles")
    ]
    times = [of_function(name, "Duration", each, label=each, period=MINUTE) for each in _PERCENTILES]
    busy = of_function(name, "ConcurrentExecutions", "Maximum", label="in use", period=MINUTE)
    return [
        graph("Invocations", "count/min", counts, width=width),
        graph("Duration", "ms", times, width=width),
        graph("Environments", "count", [busy], width=width),
    ]
