"""The engine's ECS service, which has one task or none, and the Auto Scaling group of its one machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from functions.shared.aws import Aws

from .settings import Settings

# Of a machine that starts or runs; others end.
_PRESENT = ("Pending", "InService")


class ServiceMissing(Exception):
    """The service does not exist, or is being deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What service and group are to have, and what they have.

    Shape:  `machines`: those that start or run. `events`: the service's own, the newest first.
    """

    tasks_wanted: int
    tasks_running: int
    tasks_pending: int
    machines_wanted: int
    machines: int
    events: list[Any]


class Fleet:
    """Service and group. Its calls block.

    Raises: AwsError.
    """

    def __init__(self, settings: Settings, aws: Aws) -> None:
        self._settings = settings
        self._ecs = aws.service("ecs")
        self._groups = aws.service("autoscaling")

    def counts(self) -> Counts:
        """Return what there is now.

        Raises: ServiceMissing.
        """
        cluster, group = self._settings.cluster, self._settings.group
        services = self._ecs.call("describe_services", cluster=cluster, services=[self._settings.service])[
            "services"
        ]
        if not services or services[0]["status"] != "ACTIVE":
            raise ServiceMissing
        found = self._groups.call("describe_auto_scaling_groups", AutoScalingGroupNames=[group])
        (machines,) = found["AutoScalingGroups"] or [{"DesiredCapacity": 0, "Instances": []}]
        return Counts(
            tasks_wanted=services[0]["desiredCount"],
            tasks_running=services[0]["runningCount"],
            tasks_pending=services[0]["pendingCount"],
            machines_wanted=machines["DesiredCapacity"],
            machines=sum(each["LifecycleState"].startswith(_PRESENT) for each in machines["Instances"]),
            events=services[0].get("events", []),
        )

    def set_tasks(self, count: int) -> None:
        """Set how many tasks the service is to have."""
        self._ecs.call(
            "update_service",
            cluster=self._settings.cluster,
            service=self._settings.service,
            desiredCount=count,
        )

    def place_again(self) -> None:
        """Have ECS place the service's task now, by a deployment of what is deployed already."""
        self._ecs.call(
            "update_service",
            cluster=self._settings.cluster,
            service=self._settings.service,
            forceNewDeployment=True,
        )

    def set_machines(self, count: int) -> None:
        """Set how many machines the group is to have."""
        self._groups.call(
            "set_desired_capacity",
            AutoScalingGroupName=self._settings.group,
            DesiredCapacity=count,
            HonorCooldown=False,
        )

    def has_task(self, task: str) -> bool:
        """Return whether the service runs the task with this id."""
        found = self._ecs.call(
            "list_tasks",
            cluster=self._settings.cluster,
            serviceName=self._settings.service,
            desiredStatus="RUNNING",
        )
        return any(arn.rpartition("/")[2] == task for arn in found["taskArns"])

    def launches(self) -> list[Any]:
        """Return the group's last activities, the newest first."""
        found = self._groups.call(
            "describe_scaling_activities", AutoScalingGroupName=self._settings.group, MaxRecords=20
        )
        return list(found["Activities"])

    def stopped_tasks(self) -> list[Any]:
        """Return the service's tasks that stopped within the last hour or so, in any order."""
        found = self._ecs.call(
            "list_tasks",
            cluster=self._settings.cluster,
            serviceName=self._settings.service,
            desiredStatus="STOPPED",
        )
        if not found["taskArns"]:
            return []
        described = self._ecs.call(
            "describe_tasks", cluster=self._settings.cluster, tasks=found["taskArns"][:10]
        )
        return list(described["tasks"])
