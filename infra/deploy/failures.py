"""Why a deployment failed: what CloudFormation says of what failed first, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from infra.deploy.stacks import Failure

_SHOWN_FAILURES = 3
_SHOWN_LINES = 15
_SHOWN_REASON = 600
# What was said → what to do next. The first that fits wins.
_NEXT = {
    "TerminationProtection": "This stack keeps data. To remove it after all: docs/deploy.md#removing-it",
    "cdk bootstrap": "Prepare the account and region once: npx cdk bootstrap",
    "has not been bootstrapped": "Prepare the account and region once: npx cdk bootstrap",
    "Need to perform AWS calls": "Log in, as with `aws sso login`, or set AWS_PROFILE",
    "Unable to resolve AWS account": "Log in, as with `aws sso login`, or set AWS_PROFILE and AWS_REGION",
    "ExpiredToken": "The credentials have expired: log in again",
    "security token": "The credentials are not accepted: log in again",
    "AccessDenied": "These credentials may not do that: use an administrator's",
    "not authorized to perform": "These credentials may not do that: use an administrator's",
    "ReservedConcurrentExecutions": "The account's Lambda concurrency is below what the stage reserves, "
    "`reserved` in infra/stages.py: make doctor STAGE={stage}",
    "AddressLimitExceeded": "The account has no Elastic IP addresses left: make doctor STAGE={stage}",
    "VpcLimitExceeded": "The region has no VPC left for this account: remove one, or have the quota raised",
    "WaitCondition": "The build that copies image and weights failed. Its log: docs/operations.md#logs",
    "quota": "A quota of the account: make doctor STAGE={stage} has it, and how to have it raised",
    "imitExceeded": "A quota of the account: make doctor STAGE={stage} has it, and how to have it raised",
    "it is in use by": "Another stack is built on what this change takes away, such as subnets: "
    "docs/deploy.md#changing-what-is-deployed",
    "AWS::Budgets::Budget": "CloudFormation has no budgets in this region: budget=None in infra/stages.py",
    "already exists": "Something of that name is there, perhaps kept from an earlier deployment: remove it",
    "Cannot find version": "The region does not offer this version of Aurora: make doctor STAGE={stage}",
    "ROLLBACK_FAILED": "Continue the roll-back first: aws cloudformation continue-update-rollback "
    "--stack-name {stack}",
    "No space left on device": "The disk of this machine is full: free some space",
    "ENOTFOUND": "A name could not be resolved: check the network, and AWS_REGION",
}
_OTHERWISE = "CloudFormation's console has all events of {stack}"
_OTHERWISE_BEFORE = "Its last lines are above"


def describe(
    command: str, *, stage: str, stack: str, failures: Sequence[Failure], lines: Sequence[str]
) -> str:
    """Return the text for a failed command: what failed first, the next step, and how to go on.

    Shape:  `command`: the make target. `stack`: that which it was at; "" before the first. `lines`: what CDK
            printed.
    """
    where = f" at {stack}" if stack else ""
    shown = [f"make {command} STAGE={stage} failed{where}."]
    for failure in failures[:_SHOWN_FAILURES]:
        reason = " ".join(failure.reason.split())[:_SHOWN_REASON] or "CloudFormation gives no reason"
        shown += [f"  {failure.resource} ({failure.kind}): {failure.status}", f"    {reason}"]
    if not failures:
        last = [line.rstrip() for line in lines if line.strip()][-_SHOWN_LINES:]
        shown += [f"  {line}" for line in last] or ["  (it printed nothing)"]
    said = "\n".join([*(failure.reason for failure in failures), *([] if failures else lines)])
    step = next(
        (text for sign, text in _NEXT.items() if sign in said), _OTHERWISE if stack else _OTHERWISE_BEFORE
    )
    shown.append(f"{step.format(stage=stage, stack=stack or 'NAME')}.")
    if command == "deploy" and stack:
        shown.append("What was made before stays; the same command goes on from there.")
    return "\n".join(shown)
