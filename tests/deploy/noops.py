"""The types of resources that ministack lacks: here they are created by doing nothing.

This proves only that the templates have them, in this order, with these names and references. Each says what
that leaves unproven; docs/deploy.md lists them, too. A test fails on a type that our templates do not use, or
that ministack has meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NoOp:
    """What is not proven because of it, and the attributes that other resources read."""

    unproven: str
    attributes: tuple[str, ...] = ()


NO_OPS: Mapping[str, NoOp] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": NoOp(
        unproven="that the engine's service may be scaled between its minimum and maximum of tasks"
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": NoOp(unproven="that waiting requests add tasks"),
    "AWS::Budgets::Budget": NoOp(unproven="that a mail is sent before a month costs more than the budget"),
    "AWS::CodeDeploy::Application": NoOp(unproven="that prod's functions have deployments of their own"),
    "AWS::CodeDeploy::DeploymentGroup": NoOp(
        unproven="that a new version gets a tenth of the requests first, and is rolled back on errors"
    ),
    "AWS::EC2::EgressOnlyInternetGateway": NoOp(
        unproven="that the functions reach AWS by IPv6, and are not reached"
    ),
    "AWS::EC2::EIP": NoOp(
        unproven="that the account has addresses left for the NAT gateways", attributes=("AllocationId",)
    ),
    "AWS::EC2::FlowLog": NoOp(unproven="that what the security groups reject is logged"),
    "AWS::EC2::NatGateway": NoOp(
        unproven="that private subnets reach the internet in prod", attributes=("NatGatewayId",)
    ),
    "AWS::EC2::SecurityGroupEgress": NoOp(unproven="that the functions reach the engine and the database"),
    "AWS::EC2::SecurityGroupIngress": NoOp(unproven="that nothing else reaches the engine or the database"),
    "AWS::EC2::VPCCidrBlock": NoOp(unproven="that the network gets IPv6 addresses"),
    "AWS::ECS::ClusterCapacityProviderAssociations": NoOp(
        unproven="that the service's tasks are placed on the group's machines"
    ),
    "AWS::ECS::CapacityProvider": NoOp(unproven="that ECS finds a machine with the required GPU"),
    "Custom::S3AutoDeleteObjects": NoOp(
        unproven="that the bucket of weights is emptied before it is deleted"
    ),
    "AWS::WAFv2::WebACLAssociation": NoOp(unproven="that the firewall's rules are applied in prod"),
}

# The modules of `cloud`, each for a difference between ministack and AWS → what stays unproven.
STAND_INS: Mapping[str, str] = {
    "alarms": "that CloudWatch accepts alarms over more than one metric",
    "aurora": "Aurora itself: the database is a Postgres on this machine",
    "builds": "that the image and the weights are copied: the build only signals that they are",
    "environments": "Lambda's own bounds: its Python, memory, processor, read-only disk, SnapStart",
    "grants": "that ECS, tables and buckets check grants as AWS's documentation says",
    "ipv6": "which IPv6 addresses AWS gives a network",
    "parameters": "which machine image AWS recommends for GPUs",
    "secrets": "that a reference to a secret is its ARN, as AWS's documentation says",
    "streamed": "that a REST API streams a reply",
    "variables": "the engine's address, and RDS's certificates",
}
