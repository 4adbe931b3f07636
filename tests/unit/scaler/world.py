"""ECS, Auto Scaling and the item of one engine, as far as the scaler calls them, with a clock that is set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from functions.scaler.lines import Line
from functions.scaler.scaler import Scaler
from functions.scaler.settings import Settings
from functions.shared.aws import Aws, AwsError

NOW = 1_800_000_000.0
IDLE_S = 1200.0
START_S = 420.0
SETTINGS = Settings(
    cluster="engines",
    service="vllm",
    group="machines",
    table="table",
    model="tiny",
    idle_s=IDLE_S,
    held_streams=2,
    start_s=START_S,
)
TASK = "task-1"
# The response to a write of the item.
WRITTEN = {"ConsumedCapacity": 1}


def instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def idle_line(*, at: float = NOW, idle_s: float = IDLE_S, task: str = TASK) -> Line:
    return Line(at, idle_s, task)


@dataclass
class World:
    """An account with one engine.

    Shape:  `tasks`, `machines` are what service and group are to have. `running` are the ids of the tasks.
            `fails` has the error code that an operation raises. `calls` are the operations that were called.
    """

    tasks: int = 0
    machines: int = 0
    pending: int = 0
    deployments: int = 0
    running: list[str] = field(default_factory=list)
    instances: list[str] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    launches: list[tuple[float, str, str]] = field(default_factory=list)
    stopped: list[dict[str, Any]] = field(default_factory=list)
    item: dict[str, Any] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    now: float = NOW

    def scaler(self, aws: Any = None) -> Scaler:
        return Scaler(SETTINGS, cast(Aws, aws or self), now=lambda: self.now)

    def copy(self) -> World:
        return replace(self, item=dict(self.item), calls=[])

    @property
    def counts(self) -> tuple[int, int]:
        return self.tasks, self.machines

    def service(self, _: str) -> World:
        return self

    def call(self, operation: str, **parameters: Any) -> Any:
        self.calls.append(operation)
        if operation in self.fails:
            raise AwsError(self.fails[operation], {})
        return getattr(self, operation)(**parameters)

    def get_item(self, **_: Any) -> Any:
        return {"Item": dict(self.item)} if self.item else {}

    def update_item(self, **update: Any) -> Any:
        values, condition = update["ExpressionAttributeValues"], update["ConditionExpression"]
        holds = (
            "version" not in self.item
            if condition == "attribute_not_exists(version)"
            else self.item.get("version") == values[":seen"]
        )
        if not holds:
            raise AwsError("ConditionalCheckFailedException", {})
        assigned, _, removed = update["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
        for each in assigned.split(", "):
            name, _, value = each.partition(" = ")
            self.item[name] = values[value]
        for name in filter(None, removed.split(", ")):
            self.item.pop(name, None)
        return WRITTEN

    def describe_services(self, **_: Any) -> Any:
        service = {
            "status": "ACTIVE",
            "desiredCount": self.tasks,
            "runningCount": len(self.running),
            "pendingCount": self.pending,
            "events": [{"createdAt": instant(at), "message": message} for at, message in self.events],
        }
        return {"services": [service]}

    def update_service(self, **changes: Any) -> Any:
        self.tasks = changes.get("desiredCount", self.tasks)
        self.deployments += changes.get("forceNewDeployment", False)

    def list_tasks(self, *, desiredStatus: str, **_: Any) -> Any:  # noqa: N803
        ids = (
            (self.running if self.tasks else [])
            if desiredStatus == "RUNNING"
            else [f"stopped-{number}" for number, _ in enumerate(self.stopped)]
        )
        return {"taskArns": [f"arn:aws:ecs:eu-central-1:1:task/engines/{each}" for each in ids]}

    def describe_tasks(self, **_: Any) -> Any:
        return {"tasks": self.stopped}

    def describe_auto_scaling_groups(self, **_: Any) -> Any:
        instances = [{"LifecycleState": state} for state in self.instances]
        return {"AutoScalingGroups": [{"DesiredCapacity": self.machines, "Instances": instances}]}

    def set_desired_capacity(self, *, DesiredCapacity: int, HonorCooldown: bool, **_: Any) -> Any:  # noqa: N803
        assert not HonorCooldown
        self.machines = DesiredCapacity

    def describe_scaling_activities(self, **_: Any) -> Any:
        activities = [
            {
                "StartTime": instant(at),
                "StatusCode": status,
                "StatusMessage": message,
                "Description": "Launching a new EC2 instance",
            }
            for at, status, message in self.launches
        ]
        return {"Activities": activities}
