"""The role of a function: its own log, its network interfaces if it has any, and what is granted later."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.nag import acknowledge

# Lambda itself calls these in the role's name, to connect the function to the network.
_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


def function_role(
    scope: Construct, construct_id: str, *, log: logs.LogGroup, in_network: bool = True
) -> iam.Role:
    """Make a role for a function, instead of AWS's own, which may write to every log.

    Source: AWS Lambda, "Giving Lambda functions access to resources in a VPC", read 2026-11-23: what Lambda
            needs is denied to the function's own code, whose requests carry its ARN.
    """
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn]
        )
    )
    if in_network:
        _grant_interfaces(role)
    acknowledge(
        role,
        {
            "IAM5[Resource::*]": "X-Ray's traces, Bedrock's tokens and network interfaces that are yet to be "
            "made have no ARN to name; the function's own code is denied the last."
        },
    )
    return role


def _grant_interfaces(role: iam.Role) -> None:
    role.add_to_policy(iam.PolicyStatement(actions=list(_INTERFACES), resources=["*"]))
    role.add_to_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=list(_INTERFACES),
            resources=["*"],
            conditions={"Null": {"lambda:SourceFunctionArn": "false"}},
        )
    )
