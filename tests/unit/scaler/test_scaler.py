"""What a start and a stop do, and what a start reports."""

from __future__ import annotations

from typing import Any

import pytest

from functions.scaler.causes import REMEDIES
from functions.scaler.lines import Line
from functions.scaler.scaler import HOLD_S, LINE_S
from functions.scaler.settings import Settings
from functions.shared.aws import AwsError
from functions.shared.environment import SettingsError
from tests.unit.scaler.world import IDLE_S, NOW, START_S, TASK, World, idle_line, instant


def running(**changes: Any) -> World:
    return World(**{"tasks": 1, "machines": 1, "running": [TASK], "instances": ["InService"], **changes})


def started() -> World:
    """Return an engine that was started now, and whose machine was launched."""
    world = World()
    world.scaler().start(None)
    world.instances = ["Pending"]
    return world


# start


@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (1, 0)])
def test_a_start_sets_what_is_at_zero(counts: tuple[int, int]) -> None:
    world = World(tasks=counts[0], machines=counts[1])
    reply = world.scaler().start(None)
    assert (world.counts, reply["state"], reply["elapsed_s"]) == ((1, 1), "starting", 0)


def test_a_start_is_idempotent_and_knows_since_when() -> None:
    world = started()
    world.now += 60
    assert world.scaler().start(None)["elapsed_s"] == 60
    world.running = [TASK]
    reply = world.scaler().start(None)
    assert (reply["state"], reply["reason"], world.counts) == ("running", None, (1, 1))


def test_a_start_after_a_stop_by_hand_begins_again() -> None:
    world = started()
    world.now, world.tasks, world.machines = NOW + 9000, 0, 0
    assert world.scaler().start(None)["elapsed_s"] == 0
    world.now += 5
    assert world.scaler().start(None)["elapsed_s"] == 5


@pytest.mark.parametrize("operation", ["describe_services", "update_service", "set_desired_capacity"])
def test_a_start_that_fails_is_repeated_by_its_caller(operation: str) -> None:
    world = World(fails={operation: "ThrottlingException"})
    with pytest.raises(AwsError, match="ThrottlingException"):
        world.scaler().start(None)
    world.fails.clear()
    world.scaler().start(None)
    assert world.counts == (1, 1)


# places


def test_as_many_streams_wait_as_may() -> None:
    world = World()
    replies = [world.scaler().start(holder) for holder in ("a", "b", "c", "a")]
    assert [reply["may_hold"] for reply in replies] == [True, True, False, True]
    assert [reply["held"] for reply in replies] == [1, 2, 2, 2]
    assert world.scaler().release("a") == 1
    assert world.scaler().release("unknown") == 1
    assert world.scaler().start("c")["may_hold"]


def test_a_place_that_is_not_renewed_expires() -> None:
    world = World()
    world.scaler().start("a")
    world.scaler().start("b")
    world.now += HOLD_S / 2
    world.scaler().start("a")
    world.now += HOLD_S / 2
    assert world.scaler().start("c")["may_hold"], "in the place of b"
    assert not world.scaler().start("b")["may_hold"]


# stop


def test_an_idle_engine_is_stopped_first_its_machine() -> None:
    world = running()
    assert world.scaler().stop(idle_line())
    assert world.counts == (0, 0)
    writes = [each for each in world.calls if each in ("update_service", "set_desired_capacity")]
    assert writes == ["set_desired_capacity", "update_service"]
    assert "started_at" not in world.item
    assert "stopping_at" not in world.item


@pytest.mark.parametrize(
    "line",
    [
        idle_line(idle_s=IDLE_S - 1),
        idle_line(at=NOW - LINE_S - 1),
        idle_line(at=NOW - 3600, idle_s=9000),
        idle_line(task="another"),
    ],
    ids=["not idle", "old", "hours old", "of a task of before"],
)
def test_other_lines_stop_nothing(line: Line) -> None:
    world = running()
    assert not world.scaler().stop(line)
    assert world.counts == (1, 1)


def test_an_engine_that_was_started_is_not_stopped_for_as_long_as_it_may_be_idle() -> None:
    world = running()
    world.scaler().start(None)
    world.now += IDLE_S - 1
    assert not world.scaler().stop(idle_line(at=world.now))
    world.now += 1
    assert world.scaler().stop(idle_line(at=world.now))


def test_a_start_that_comes_before_a_stop_has_begun_prevents_it() -> None:
    class Requested(World):
        def list_tasks(self, **parameters: Any) -> Any:
            self.scaler().start(None)
            return super().list_tasks(**parameters)

    world = Requested(tasks=1, machines=1, running=[TASK], instances=["InService"])
    assert not world.scaler().stop(idle_line())
    assert not {"update_service", "set_desired_capacity"} & set(world.calls)


def test_an_event_that_is_delivered_twice_stops_once() -> None:
    world = running()
    assert world.scaler().stop(idle_line())
    world.calls.clear()
    assert not world.scaler().stop(idle_line())
    assert world.calls == ["get_item", "list_tasks"]


@pytest.mark.parametrize("operation", ["set_desired_capacity", "update_service"])
def test_a_stop_that_fails_is_repeated_by_the_next_line(operation: str) -> None:
    world = running(fails={operation: "ThrottlingException"})
    with pytest.raises(AwsError):
        world.scaler().stop(idle_line())
    assert world.counts != (0, 1), "a machine without a task costs, and nothing reports on it"
    world.fails.clear()
    world.now += 60
    assert world.scaler().stop(idle_line(at=world.now))
    assert world.counts == (0, 0)


# what blocks a start

QUOTA = (
    "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than "
    "your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to."
)
CAPACITY = (
    "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have "
    "sufficient g6.xlarge capacity in the Availability Zone you requested (eu-central-1a)."
)
SPOT = "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded."
UNFULFILLABLE = (
    "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request "
    "configuration. Please adjust your request and try again. Launching EC2 instance failed."
)
UNAUTHORIZED = "You are not authorized to perform this operation. Launching EC2 instance failed."
UNSUPPORTED = (
    "Could not launch On-Demand Instances. Unsupported - Your requested instance type (g6.xlarge) is not "
    "supported in your requested Availability Zone (eu-central-1b). Launching EC2 instance failed."
)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (QUOTA, "quota"),
        (SPOT, "quota"),
        (CAPACITY, "capacity"),
        (UNFULFILLABLE, "capacity"),
        (UNAUTHORIZED, "permission"),
        (UNSUPPORTED, "machine"),
    ],
)
def test_a_machine_that_cannot_be_launched_blocks_the_start(
    caplog: pytest.LogCaptureFixture, message: str, reason: str
) -> None:
    world = started()
    world.instances, world.launches = [], [(NOW + 9, "InProgress", ""), (NOW + 1, "Failed", message)]
    world.now += 15
    reply = world.scaler().start(None)
    assert (reply["state"], reply["reason"]) == ("blocked", reason)
    assert REMEDIES[reason] in caplog.text
    assert message in caplog.text


@pytest.mark.parametrize(
    ("launches", "instances"),
    [
        ([(NOW - 1, "Failed", QUOTA)], []),
        ([(NOW + 9, "Successful", ""), (NOW + 1, "Failed", CAPACITY)], []),
        ([(NOW + 1, "InProgress", "")], []),
        ([(NOW + 1, "Failed", CAPACITY)], ["Pending"]),
    ],
    ids=["before this start", "succeeded since", "not known yet", "a machine is there"],
)
def test_a_machine_that_can_be_launched_does_not(
    launches: list[tuple[float, str, str]], instances: list[str]
) -> None:
    world = started()
    world.launches, world.instances = launches, instances
    assert world.scaler().start(None)["state"] == "starting"


NO_MACHINE = (
    "(service vllm) was unable to place a task because no container instance met all of its requirements. "
    "Reason: No Container Instances were found in your cluster."
)
TOO_SMALL = (
    "(service vllm) was unable to place a task because no container instance met all of its requirements. "
    "The closest matching (container-instance 0f) has insufficient memory available."
)
FAILING = "(service vllm) is unable to consistently start tasks successfully."


@pytest.mark.parametrize(
    ("message", "after_s", "reason"),
    [
        (NO_MACHINE, 5, None),
        (NO_MACHINE, START_S + 30, "machine"),
        (TOO_SMALL, 5, None),
        (TOO_SMALL, 240, "placement"),
        (FAILING, 240, None),
    ],
    ids=[
        "no machine yet",
        "no machine joins",
        "the machine of before",
        "too small",
        "said for want of a machine, too",
    ],
)
def test_what_ecs_reports_of_its_service(message: str, after_s: float, reason: str | None) -> None:
    world = started()
    world.instances, world.events, world.now = ["InService"], [(NOW + after_s, message)], NOW + after_s + 1
    assert world.scaler().start(None)["reason"] == reason
    world.running = [TASK]
    assert world.scaler().start(None)["reason"] is None


def test_what_has_passed_since_does_not_block_a_later_start() -> None:
    """A start lasts until the next stop: within it, a machine is replaced, and later the engine crashes."""
    world = started()
    steady = "(service vllm) has reached a steady state."
    world.instances, world.now = ["InService"], NOW + 2 * 86_400
    world.events = [(NOW + 86_400, steady), (NOW + 86_000, TOO_SMALL), (NOW + 85_900, FAILING)]
    assert world.scaler().start(None)["reason"] is None


def stopped_task(**reasons: Any) -> dict[str, Any]:
    return {"createdAt": instant(NOW + 60), "stopCode": "TaskFailedToStart", **reasons}


UNPULLED = stopped_task(
    stoppedReason="CannotPullContainerError: pull image manifest has been retried 5 time(s): not found"
)
TOO_LARGE = stopped_task(
    stopCode="EssentialContainerExited",
    stoppedReason="Essential container in task exited",
    containers=[{"reason": "OutOfMemoryError: Container killed due to memory usage"}],
)
CRASHED = stopped_task(stopCode="EssentialContainerExited")
UNHEALTHY = stopped_task(
    stopCode="ServiceSchedulerInitiated", stoppedReason="Task failed container health checks"
)
STOPPED = stopped_task(stopCode="UserInitiated", stoppedReason="Scaling activity initiated by (service)")


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([UNPULLED], "image"),
        ([TOO_LARGE], None),
        ([TOO_LARGE, TOO_LARGE], "memory"),
        ([CRASHED], None),
        ([CRASHED, UNHEALTHY], "engine"),
        ([STOPPED, STOPPED], None),
        ([], None),
    ],
)
def test_tasks_that_stopped(tasks: list[dict[str, Any]], reason: str | None) -> None:
    world = started()
    world.stopped, world.now = tasks, NOW + 90
    assert world.scaler().start(None)["reason"] == reason


@pytest.mark.parametrize("operation", ["describe_scaling_activities", "list_tasks"])
def test_a_start_works_without_the_right_to_know_why_it_does_not(operation: str) -> None:
    world = started()
    world.instances, world.fails = [], {operation: "AccessDeniedException"}
    assert world.scaler().start(None)["state"] == "starting"


# settings


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="CLUSTER is missing: the name or ARN of the ECS cluster"):
        Settings.from_environment({})


# a service that was set to 0 by something else


@pytest.mark.parametrize(
    ("tasks", "machines", "stopped"), [(0, 1, True), (0, 0, False), (1, 1, False), (1, 0, False)]
)
def test_a_machine_ends_with_a_service_that_wants_no_task(tasks: int, machines: int, stopped: bool) -> None:
    """A deployment sets the service to 0; no line of a reporter would ever stop the machine."""
    world = running(tasks=tasks, machines=machines, running=[])
    assert world.scaler().follow() is stopped
    assert world.counts == (tasks, 0 if stopped else machines)


def test_a_start_between_keeps_its_machine() -> None:
    class Overtaken(World):
        def set_desired_capacity(self, **parameters: Any) -> Any:
            self.tasks = 1
            return super().set_desired_capacity(**parameters)

    world = Overtaken(tasks=0, machines=1)
    assert not world.scaler().follow()
    assert world.counts == (1, 1)


@pytest.mark.parametrize(
    ("after_s", "tasks", "running_now", "stopped"),
    [
        (IDLE_S + 1, [CRASHED, UNHEALTHY], [], True),
        (IDLE_S - 1, [CRASHED, UNHEALTHY], [], False),
        (IDLE_S + 1, [CRASHED, UNHEALTHY], [TASK], False),
        (IDLE_S + 1, [CRASHED], [], False),
        (IDLE_S + 1, [STOPPED, STOPPED], [], False),
    ],
    ids=["fails", "wanted", "runs", "once", "replaced"],
)
def test_an_engine_that_keeps_failing_is_stopped_once_nothing_wants_it(
    after_s: float, tasks: list[dict[str, Any]], running_now: list[str], stopped: bool
) -> None:
    """It writes no line, and its machine is paid for."""
    world = started()
    world.instances, world.stopped, world.running = ["InService"], tasks, running_now
    world.now += after_s
    assert world.scaler().follow() is stopped
    assert world.counts == ((0, 0) if stopped else (1, 1))


def test_an_engine_that_failed_starts_again_with_the_next_request() -> None:
    world = started()
    world.instances, world.stopped = ["InService"], [CRASHED, CRASHED]
    world.now += IDLE_S + 1
    assert world.scaler().follow()
    reply = world.scaler().start(None)
    assert (reply["state"], reply["elapsed_s"], world.counts) == ("starting", 0, (1, 1))


# a machine that joins


@pytest.mark.parametrize(
    ("changes", "placed"),
    [
        ({}, True),
        ({"pending": 1}, False),
        ({"running": [TASK]}, False),
        ({"tasks": 0}, False),
        ({"stopped": [CRASHED]}, False),
        ({"stopped": [{**CRASHED, "createdAt": instant(NOW - 60)}]}, True),
    ],
    ids=["waits", "is placed", "runs", "is not wanted", "has failed", "had failed before"],
)
def test_a_task_that_waits_for_a_machine_is_placed_when_it_joins(
    changes: dict[str, Any], placed: bool
) -> None:
    """ECS, by itself, tries again only minutes later."""
    world = started()
    for name, value in changes.items():
        setattr(world, name, value)
    assert world.scaler().place() is placed
    assert world.deployments == placed
