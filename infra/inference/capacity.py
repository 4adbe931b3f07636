"""The GPU machines, in an Auto Scaling group: none while no task needs one."""

from __future__ import annotations

from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.nag import acknowledge
from infra.stages import Engine

# The image is about 25 GB unpacked, and needs as much again while it is unpacked.
DISK_GIB = 100
_DISK_MIB_S = 500
_DISK_IOPS = 4000
_MACHINE_REASONS = {
    "AS3": "Machines start and stop with the tasks; ECS's own events record it.",
    "EC26": "The rule cannot read a launch template; the disk in it is encrypted, which a test checks.",
    "IAM5[Action::ecs:Submit*]": "The agent submits several states, and ECS limits them to its cluster.",
    "IAM5[Resource::*]": "The agent finds its endpoint by an action that has no resources.",
}


def add_capacity(
    cluster: ecs.Cluster,
    *,
    engine: Engine,
    vpc: ec2.IVpc,
    subnets: ec2.SubnetSelection,
    security_group: ec2.ISecurityGroup,
) -> str:
    """Give a cluster its machines, and return the capacity provider's name."""
    return _auto_scaling_group(cluster, engine, vpc, subnets, security_group)


def _auto_scaling_group(
    cluster: ecs.Cluster,
    engine: Engine,
    vpc: ec2.IVpc,
    subnets: ec2.SubnetSelection,
    security_group: ec2.ISecurityGroup,
) -> str:
    role = iam.Role(cluster, "MachineRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    machines = autoscaling.AutoScalingGroup(
        cluster,
        "Machines",
        vpc=vpc,
        vpc_subnets=subnets,
        min_capacity=0,
        # Where tasks always run, a deployment starts new ones beside the old ones.
        max_capacity=engine.tasks[1] * (1 if engine.scales_to_zero else 2),
        new_instances_protected_from_scale_in=True,
        mixed_instances_policy=autoscaling.MixedInstancesPolicy(
            launch_template=_launch_template(cluster, engine, security_group, role),
            instances_distribution=autoscaling.InstancesDistribution(
                on_demand_percentage_above_base_capacity=0 if engine.spot else 100,
                spot_allocation_strategy=autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
            ),
        ),
    )
    provider = ecs.AsgCapacityProvider(
        cluster,
        "Group",
        auto_scaling_group=machines,
        enable_managed_scaling=True,
        enable_managed_termination_protection=True,
        enable_managed_draining=True,
        target_capacity_percent=100,
    )
    cluster.add_asg_capacity_provider(provider)
    for construct in (machines, role):
        acknowledge(construct, _MACHINE_REASONS)
    return provider.capacity_provider_name


def _launch_template(
    scope: Construct, engine: Engine, security_group: ec2.ISecurityGroup, role: iam.Role
) -> ec2.LaunchTemplate:
    user_data = ec2.UserData.for_linux()
    # Two minutes before Spot takes the machine back, its tasks are stopped.
    user_data.add_commands("echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config")
    # Tasks have a role of their own, and must not use the machine's.
    user_data.add_commands("echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config")
    volume = ec2.BlockDeviceVolume.ebs(
        DISK_GIB,
        volume_type=ec2.EbsDeviceVolumeType.GP3,
        iops=_DISK_IOPS,
        throughput=_DISK_MIB_S,
        encrypted=True,
    )
    return ec2.LaunchTemplate(
        scope,
        "Template",
        instance_type=ec2.InstanceType(engine.instance_type),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.GPU),
        security_group=security_group,
        role=role,
        user_data=user_data,
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        associate_public_ip_address=False,
        block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=volume)],
    )
