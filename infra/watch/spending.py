"""The row of what drives the bill, by the hour."""

from __future__ import annotations

from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_rds as rds

from infra.stages import Stage
from infra.watch.metrics import HOUR, calculated, of_function, of_machines, of_model
from infra.watch.widgets import Row, graph, graphs, heading


def spending(
    stage: Stage,
    *,
    chat: str,
    todos: str,
    machines: autoscaling.IAutoScalingGroup | None,
    database: rds.DatabaseCluster,
) -> list[Row]:
    """Return what is paid by use; prices are in docs/deploy.md. The functions are known by their names."""
    lambdas = [_gigabyte_seconds("todos", todos, stage.memory_mb[1])]
    if not stage.managed_instances:  # whose machines are paid for, not the time of requests
        lambdas.insert(0, _gigabyte_seconds("chat", chat, stage.memory_mb[0]))
    tokens = [of_model(stage, f"{kind}_tokens", label=kind, period=HOUR) for kind in ("prompt", "completion")]
    acus = database.metric_serverless_database_capacity(statistic="Average", period=HOUR)
    acu_hours = calculated(
        f"acu * {1 + stage.database.readers}", {"acu": acus}, label="all instances", period=HOUR
    )
    machine_hours: list[cloudwatch.GraphWidget] = []
    if machines:
        running = of_machines(machines, label="running", period=HOUR)
        machine_hours = [graph("Machines with GPUs", "hours/hour", [running])]
    return [
        heading("## What drives the bill\nPrices, and what is paid for without requests: docs/deploy.md."),
        graphs(
            graph("Lambda", "GB-s/hour", lambdas, stacked=True),
            *machine_hours,
            graph("Database", "ACU-hours/hour", [acu_hours]),
            graph("Tokens", "tokens/hour", tokens, stacked=True),
        ),
    ]


def _gigabyte_seconds(name: str, function: str, memory_mb: int) -> cloudwatch.IMetric:
    time = of_function(function, "Duration", period=HOUR)
    gigabytes = memory_mb / 1024
    return calculated(f"{name}_ms / 1000 * {gigabytes:g}", {f"{name}_ms": time}, label=name, period=HOUR)
