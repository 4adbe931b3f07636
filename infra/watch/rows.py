"""The rows of the dashboard: what callers get, the chat function, the engine, the todos."""

from __future__ import annotations

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_rds as rds

from infra.inference.metrics import CACHE, RUNNING, WAITING
from infra.stages import Database, Engine, Stage
from infra.watch.metrics import MINUTE, NO_MODEL, OUTCOMES, of_gpus, of_model, of_outcome, of_service
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
        heading("## Traffic\nWhat callers get. `cut`: the caller left; `refused`: by a limit."),
        graphs(
            graph(
                "Completions by outcome",
                "requests/min",
                [*outcomes, of_outcome(stage, "refused", model=NO_MODEL)],
                stacked=True,
            ),
            graph("Tokens", "tokens/min", tokens, stacked=True),
            graph("First byte", "ms", waits),
            graph("Errors at the doors", "replies/min", errors),
        ),
    ]


def functions(chat: lambda_.Function, table: dynamodb.ITable) -> list[Row]:
    """Return how the chat function does, and its table of keys."""
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
        heading("## Chat function\nA duration is that of a whole stream. Who is throttled gets 429."),
        graphs(*_function(chat), graph("Table of keys and usage", "units/min", [*units, *throttled])),
    ]


def inference(stage: Stage, service: ecs.BaseService) -> list[Row]:
    """Return what the engine does."""
    load = [
        of_model(stage, RUNNING, "Average", label="at work, by task"),
        of_model(stage, WAITING, "Average", label="waiting, by task"),
    ]
    cache = of_model(stage, CACHE, "Maximum", label="fullest task")
    tasks = [
        of_service(service, "DesiredTaskCount", "Maximum", label="wanted"),
        of_service(service, "RunningTaskCount", "Maximum", label="running"),
        of_model(stage, "wakes", label="asked to wake"),
    ]
    return [
        heading(
            "## Engine\nRequests wait when the cache is full. While the engine sleeps, nothing is measured."
        ),
        graphs(
            graph("Requests in the engine", "count", load),
            graph("KV cache in use", "share", [cache], most=1),
            graph("Tasks, and wakes", "count/min", tasks),
            graph("Use of the machines", "%", _machine(service, stage.engine), most=100),
        ),
    ]


def _machine(service: ecs.BaseService, engine: Engine) -> list[cloudwatch.IMetric]:
    own: list[cloudwatch.IMetric] = [
        service.metric_cpu_utilization(label="CPU", period=MINUTE),
        service.metric_memory_utilization(label="memory", period=MINUTE),
    ]
    if engine.capacity != "managed_instances":
        return own
    gpus = {"ContainerGPUUtilization": "GPU", "ContainerGPUMemoryUtilization": "GPU memory"}
    return [*own, *(of_gpus(service, name, label=label) for name, label in gpus.items())]


def todos(function: lambda_.Function, cluster: rds.DatabaseCluster, database: Database) -> list[Row]:
    """Return how the todo function does, and its database."""
    capacity = cluster.metric_serverless_database_capacity(label="capacity", period=MINUTE)
    connections = cluster.metric_database_connections(statistic="Maximum", label="connections", period=MINUTE)
    return [
        heading("## Todos\nA database that was at rest needs about 15 s for its first answer."),
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
    busy = function.metric("ConcurrentExecutions", statistic="Maximum", label="at work", period=MINUTE)
    return [
        graph("Invocations", "count/min", counts, width=width),
        graph("Duration", "ms", times, width=width),
        graph("Environments", "count", [busy], width=width),
    ]
