"""What a stage costs in a month in which nobody asks for anything.

The numbers of things are those of the templates; tests/unit/infra/test_costs.py counts them there.
"""

from __future__ import annotations

from infra.costs.engine import gpu_hour
from infra.costs.lines import Line, hourly, monthly
from infra.costs.prices import HOURS, usd
from infra.stages import Stage

ENDPOINTS = 7  # each in one zone
SECRETS = 2
FIREWALL_RULES = 4
FUNCTIONS = 2
# Of alarms each metric counts: of those for people, and of the one that puts the engine to sleep.
ALARM_METRICS = 16
QUIET_METRICS = 5
# Following the queue makes an alarm for more tasks and one for fewer.
QUEUE_METRICS = 2
# Container insights of a cluster, and of each task: estimates.
CLUSTER_METRICS = 30
TASK_METRICS = 150
IMAGE_GIB = 12  # in the registry, compressed: an estimate
_AURORA_LEAST_GB = 10
_MONTH_S = HOURS * 3600


def at_rest(stage: Stage) -> list[Line]:
    """Return the bill of a month without requests."""
    return [*network(stage), *_engine(stage), *_data(stage), *_doors(stage), *_watch(stage)]


def network(stage: Stage) -> list[Line]:
    """Return what its way to AWS costs."""
    if stage.egress == "endpoints":
        return [hourly("interface endpoints", "endpoint", ENDPOINTS, f"{ENDPOINTS}, in one zone")]
    return [
        hourly("NAT gateways", "nat", stage.zones),
        hourly("their public addresses", "address", stage.zones),
    ]


def _engine(stage: Stage) -> list[Line]:
    least, weights = stage.engine.tasks[0], stage.engine.model.weights_gib
    door = (
        hourly("load balancer", "balancer", 1)
        if stage.engine.balancer
        else monthly("private DNS name of the engine", "zone", 1)
    )
    return [
        Line(
            what="GPU machines that never sleep",
            quantity=f"{least} × {stage.engine.instance_type}",
            usd=least * gpu_hour(stage.engine) * HOURS,
        ),
        door,
        monthly("engine's image in ECR", "registry", IMAGE_GIB, f"{IMAGE_GIB} GB"),
        monthly("model's weights in S3", "bucket", weights, f"{weights} GB"),
    ]


def _data(stage: Stage) -> list[Line]:
    instances, least = 1 + stage.database.readers, stage.database.capacity[0]
    return [
        hourly("Aurora, its fewest ACUs", "acu", least * instances, f"{instances} × {least:g} ACU"),
        monthly("Aurora's storage", "aurora_storage", _AURORA_LEAST_GB, f"{_AURORA_LEAST_GB} GB"),
        monthly("secrets", "secret", SECRETS),
    ]


def _doors(stage: Stage) -> list[Line]:
    lines = []
    if stage.snap_start:
        gigabytes = sum(stage.memory_mb) / 1024
        lines.append(
            Line(
                what="snapshots of the functions",
                quantity=f"{FUNCTIONS}, {gigabytes:.2f} GB",
                usd=usd("snapshot", gigabytes * _MONTH_S),
            )
        )
    if stage.waf:
        lines.append(monthly("firewall", "acl", 1))
        lines.append(monthly("its rules", "rule", FIREWALL_RULES))
    return lines


def _watch(stage: Stage) -> list[Line]:
    least, most = stage.engine.tasks
    metrics = (0 if least else QUIET_METRICS) + (ALARM_METRICS if stage.alarms else 0)
    insights = CLUSTER_METRICS + least * TASK_METRICS
    lines = [
        monthly("dashboard", "dashboard", 1),
        monthly("alarms", "alarm", metrics, f"{metrics} metrics"),
        monthly("container insights", "container_metric", insights, f"about {insights} metrics"),
    ]
    if most > max(least, 1):
        lines.append(monthly("alarms of the scaling", "alarm", QUEUE_METRICS, f"{QUEUE_METRICS} metrics"))
    if stage.alarm_email:
        lines.append(monthly("key of the alarms' topic", "key", 1))
    return lines
