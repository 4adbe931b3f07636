"""The scaler: the only one that starts and stops the engine of a stage. A plain handler, outside the VPC.

    {"action": "start", "holder": "<id>" | null}
        from the chat function (RequestResponse), when the engine does not answer, and every 15 s for each
        stream that waits. Idempotent. Returns
        {"state": "running" | "starting" | "blocked",
         "reason": null | "quota" | "capacity" | "permission" | "machine" | "placement" | "image" | "memory"
                   | "engine",                 why it is blocked; AWS's own words are in the log alone
         "elapsed_s": 12.5,                    since this start began
         "held": 2, "may_hold": true}          streams that wait; whether `holder` is one of them
        A holder's place lasts 30 s from its last call. At most HELD_STREAMS have one.
    {"action": "release", "holder": "<id>"}
        when a stream no longer waits. Returns {"held": 1}.
    {"awslogs": {"data": "<base64 of gzip>"}}
        from the engine's log, by a subscription filter on the reporter's lines (asynchronous):
        pattern `{ $.idle_s >= N }`, where N is 60 × IDLE_MINUTES. Returns {"stopped": true | false}.
    {"source": "aws.ecs", "detail": {"lastStatus": "STOPPED"}}
        from EventBridge, when a task of the cluster has stopped (asynchronous): a machine without a service
        that wants a task is stopped, too, and an engine that keeps failing. Returns as above.
    {"source": "aws.ecs", "detail": {"agentConnected": true, "status": "ACTIVE"}}
        from EventBridge, when a machine has joined the cluster, and when anything of it changes
        (asynchronous): a task that waits for it is placed. Returns {"placed": true | false}.

Bundle: functions/scaler and functions/shared, no layer; boto3 is the runtime's. 512 MB, timeout 45 s, both
retries of asynchronous events, none of which is older than 5 minutes.
Environment: see `settings.py`; all of it is required.
Role: dynamodb GetItem and UpdateItem of `engine#<MODEL>`; ecs DescribeServices and UpdateService of the
service, ListTasks and DescribeTasks of the cluster's tasks; autoscaling SetDesiredCapacity of the group, and
DescribeAutoScalingGroups and DescribeScalingActivities of all, for they know no resources. Without the right
to DescribeScalingActivities, ListTasks (of stopped tasks) or DescribeTasks it works, but knows no reasons.
Permissions: logs.amazonaws.com may invoke it, from the engine's log group; events.amazonaws.com, by its rule.

Raises: AwsError, whose text is AWS's code: the caller repeats the call, as Lambda does for the log's events.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from functions.shared.aws import Aws
from functions.shared.boto import Boto

from .lines import newest_line
from .scaler import Scaler
from .settings import Settings

logging.getLogger().setLevel(logging.INFO)
settings = Settings.from_environment(os.environ)
# A call of ECS may take seconds; the caller waits for longer than two of them.
aws = Aws(Boto(longer=3))
scaler = Scaler(settings, aws, now=time.time)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Start, release or stop."""
    match event:
        case {"awslogs": {"data": str(data)}}:
            line = newest_line(data)
            return {"stopped": line is not None and scaler.stop(line)}
        case {"source": "aws.ecs", "detail": {"lastStatus": "STOPPED"}}:
            return {"stopped": scaler.follow()}
        case {"source": "aws.ecs", "detail": {"agentConnected": True, "status": "ACTIVE"}}:
            return {"placed": scaler.place()}
        case {"action": "start", "holder": None | str() as holder}:
            return scaler.start(holder)
        case {"action": "release", "holder": str(holder)}:
            return {"held": scaler.release(holder)}
    raise ValueError(
        "expected an action, start or release, with a holder, or an event of CloudWatch Logs or ECS"
    )
