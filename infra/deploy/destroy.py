"""Remove a stage from the account: `python -m infra.deploy.destroy`, as `make destroy` runs it.

Variables: STAGE; YES=1 answers the question. Arguments: as those of `python -m infra.deploy`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from infra.deploy.program import Program, Refused, ended
from infra.deploy.stacks import UNREACHABLE

_DESTROY = ("destroy", "--all", "--force", "--progress", "events")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Destroy the stage of the environment; return the exit status.

    Raises: Refused.
    """
    program = Program.of("destroy", environ, sys.stdout)
    program.check_terminal(sys.stdin)
    return destroy(program, arguments)


def destroy(program: Program, arguments: Sequence[str]) -> int:
    """Destroy a stage; return the exit status.

    Raises: Refused.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--app")
    options, others = parser.parse_known_args(arguments)
    account, stage = program.account(), program.stage
    try:
        stacks = list(program.stacks.outputs())
    except UNREACHABLE as error:
        raise Refused(f"The stacks could not be listed: {error}.") from None
    if not stacks:
        program.say(f"There is nothing of {stage.name} in account {account}, region {program.region}.")
        return 0
    program.say(f"Stage {stage.name}, in account {account}, region {program.region}: {', '.join(stacks)}.")
    kept = (
        "Kept are its table, a last snapshot of the database, the image and the weights, and the functions' "
        "logs; all else of it is deleted."
    )
    lost = "Its keys, usage, todos and logs are deleted with it."
    program.say(kept if stage.keeps_data else lost)
    program.confirm(f"\nDestroy {stage.name}?")
    program.say()
    if f"{program.stacks.prefix}Engine" in stacks:
        _release_machines(program)
    context = ["-c", f"stage={stage.name}"]
    status = program.follow([*_DESTROY, *(["--app", options.app] if options.app else context), *others])
    if not status:
        program.say(f"\n{stage.name} is removed. What stays: docs/deploy.md#removing-it.")
    return status


def _release_machines(program: Program) -> None:
    """Let the engine's group end its machines, which ECS protects or drains, even once it is deleted.

    Source: aws/containers-roadmap #2862 and aws/aws-cdk #18179, open, read 2026-11-27: CloudFormation would
            wait for the group until it gives up.
    """
    stacks, groups = program.stacks, program.client("autoscaling")
    try:
        name = {"AutoScalingGroupName": stacks.part("Engine", "AWS::AutoScaling::AutoScalingGroup", "")}
        provider = stacks.part("Engine", "AWS::ECS::CapacityProvider", "")
        if not (name["AutoScalingGroupName"] and provider):  # a stack of which only a part is there
            return
        unmanaged = {"managedTerminationProtection": "DISABLED", "managedDraining": "DISABLED"}
        program.client("ecs").update_capacity_provider(name=provider, autoScalingGroupProvider=unmanaged)
        found = groups.describe_auto_scaling_groups(AutoScalingGroupNames=list(name.values()))
        if any(group["NewInstancesProtectedFromScaleIn"] for group in found["AutoScalingGroups"]):
            groups.update_auto_scaling_group(**name, NewInstancesProtectedFromScaleIn=False)
        machines = [machine for group in found["AutoScalingGroups"] for machine in group["Instances"]]
        if ids := [machine["InstanceId"] for machine in machines if machine["ProtectedFromScaleIn"]]:
            groups.set_instance_protection(**name, InstanceIds=ids, ProtectedFromScaleIn=False)
    except UNREACHABLE as error:
        program.say(
            f"The machines may still be protected: {error}. If {stacks.prefix}Engine is not deleted within "
            "an hour, `aws autoscaling set-instance-protection --no-protected-from-scale-in` frees them."
        )


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:], os.environ)))
