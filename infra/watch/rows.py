"""The rows of the dashboard: what callers get, the chat function, the engine, the todos."""

from __future__ import annotations

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds

from infra.inference.metrics import CACHE, RUNNING, WAITING
from infra.stages import Database, Stage
from infra.watch.metrics import MINUTE, NO_MODEL, OUTCOMES, of_machines, of_model, of_outcome
from infra.watch.widgets import Row, graph, graphs, heading

_PERCENTILES = ("p50", "p95")


def traffic(stage: Stage, api: apigateway.RestApi, chat: lambda_.Function) -> list[Row]:
    """Return what callers get."""
    outcomes = [of_outcome(stage, outcome) for outcome in OUTCOMES]
    tokens = [of_model(stage, f"{kind}_tokens", label=kind) for kind in ("prompt", "completion")]
    waits = [of_model(stage, "first_byte_ms", each, label=each) for each in _PERCENTILES]
    errors = [
        api.metric_client_error(statistic="Sum", label="4xx", period=MINUTE),
        api.metric_server_error(statistic="Sum", label="5xx", period=MINUTE),
        chat.metric("Url4xxCount", statistic="Sum", label="4xx, Function URL", period=MINUTE),
        chat.metric("Url5xxCount", statistic="Sum", label="5xx, Function URL", period=MINUTE),
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


def functions(chat: lambda_.Function, table: dynamodb.ITable) -> list[Row]:
    """Return the metrics of the chat function, and of its table of keys."""
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


def todos(function: lambda_.Function, cluster: rds.DatabaseCluster, database: Database) -> list[Row]:
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


def _function(function: lambda_.Function, width: int = 6) -> list[cloudwatch.GraphWidget]:
    counts = [
        function.metric_invocations(label="invocations", period=MINUTE),
        function.metric_errors(label="errors", period=MINUTE),
        function.metric_throttles(label="throttles", period=MINUTE),
    ]
    times = [function.metric_duration(statistic=each, label=each, period=MINUTE) for each in _PERCENTILES]
    busy = function.metric("ConcurrentExecutions", statistic="Maximum", label="in use", period=MINUTE)
    return [
        graph("Invocations", "count/min", counts, width=width),
        graph("Duration", "ms", times, width=width),
        graph("Environments", "count", [busy], width=width),
    ]
