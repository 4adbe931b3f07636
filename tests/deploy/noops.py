"""The types of resources that ministack lacks: here they are created by doing nothing.

All that is known of them is that CloudFormation is asked for them, in this order, with these names and
references. What that leaves unproven is said of each, and docs/deploy.md names them, too. A type that our
templates do not use, or that ministack has learnt, fails a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NoOp:
    """What is not proven because of it, and the attributes that other resources ask it for."""

    unproven: str
    attributes: tuple[str, ...] = ()


NO_OPS: Mapping[str, NoOp] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": NoOp(
        unproven="that the engine's service may be scaled between its fewest and most tasks"
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": NoOp(
        unproven="that waiting requests add tasks, and that a quiet time takes the last one away"
    ),
    "AWS::EC2::EIP": NoOp(
        unproven="that the account has addresses left for the NAT gateways", attributes=("AllocationId",)
    ),
    "AWS::EC2::FlowLog": NoOp(unproven="that what the security groups turn away is logged"),
    "AWS::EC2::NatGateway": NoOp(
        unproven="that what is private reaches the internet in prod", attributes=("NatGatewayId",)
    ),
    "AWS::EC2::SecurityGroupEgress": NoOp(unproven="that the functions reach the engine and the database"),
    "AWS::EC2::SecurityGroupIngress": NoOp(unproven="that nobody else reaches the engine or the database"),
    "AWS::ECS::CapacityProvider": NoOp(unproven="that ECS finds a machine with the GPU that is asked for"),
    "Custom::S3AutoDeleteObjects": NoOp(
        unproven="that the bucket of weights is emptied before it is deleted"
    ),
    "AWS::WAFv2::WebACLAssociation": NoOp(unproven="that the firewall's rules are asked in prod"),
}

# The modules of `cloud`, each for something that ministack does otherwise than AWS → what stays unproven.
STAND_INS: Mapping[str, str] = {
    "alarms": "that alarms over more than one metric are understood",
    "aurora": "Aurora itself: the database is a Postgres on this machine",
    "builds": "that the image and the weights are copied: the build only says that they are",
    "environments": "Lambda's own bounds: its Python, memory, processor, read-only disk, SnapStart",
    "grants": "that ECS and buckets hold grants against what AWS's documents say they do",
    "secrets": "that a reference to a secret is its ARN, as AWS's documents say",
    "streamed": "that a REST API passes a reply on in parts",
    "variables": "the engine's address, RDS's certificates, and Prisma's native engine",
}
