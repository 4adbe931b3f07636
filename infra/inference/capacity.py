"""The GPU machines, managed by ECS or in an Auto Scaling group: none while no task needs one."""

from __future__ import annotations

from aws_cdk import Size
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
# The machine's own share of its memory.
_SYSTEM_GIB = 2
# How much more than the cheapest fitting machine another may cost, where that one is sold out.
_MAX_PREMIUM_PERCENT = 60
_LOCAL_STORAGE = "ManagedInstancesProvider.InstanceLaunchTemplate.LocalStorageConfiguration.UseLocalStorage"
_POLICY = "AmazonECSInfrastructureRolePolicyForManagedInstances"
_MANAGED_REASONS = {
    f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]": (
        "ECS manages the machines by the policy that AWS made for this, and keeps up to date."
    ),
    "IAM5[Resource::*]": "The agent finds its endpoint by an action that has no resources.",
    "IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:container-instance/*]": (
        "The machines' names are not known before they exist."
    ),
}
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
    if engine.capacity == "managed_instances":
        private = vpc.select_subnets(subnet_type=subnets.subnet_type).subnets
        return _managed_instances(cluster, engine, private, security_group)
    return _auto_scaling_group(cluster, engine, vpc, subnets, security_group)


def _managed_instances(
    cluster: ecs.Cluster, engine: Engine, subnets: list[ec2.ISubnet], security_group: ec2.ISecurityGroup
) -> str:
    provider = ecs.ManagedInstancesCapacityProvider(
        cluster,
        "Managed",
        subnets=subnets,
        security_groups=[security_group],
        capacity_option_type=ecs.CapacityOptionType.SPOT if engine.spot else ecs.CapacityOptionType.ON_DEMAND,
        instance_requirements=ec2.InstanceRequirementsConfig(
            v_cpu_count_min=engine.cpus,
            memory_min=Size.gibibytes(engine.memory_gib + _SYSTEM_GIB),
            cpu_manufacturers=[ec2.CpuManufacturer.INTEL, ec2.CpuManufacturer.AMD],
            accelerator_types=[ec2.AcceleratorType.GPU],
            accelerator_manufacturers=[ec2.AcceleratorManufacturer.NVIDIA],
            accelerator_count_min=engine.gpus,
            accelerator_count_max=engine.gpus,
            accelerator_total_memory_min=Size.gibibytes(engine.gpus * engine.gpu_memory_gib),
            local_storage=ec2.LocalStorage.REQUIRED,
            local_storage_types=[ec2.LocalStorageType.SSD],
            total_local_storage_gb_min=DISK_GIB,
            on_demand_max_price_percentage_over_lowest_price=None if engine.spot else _MAX_PREMIUM_PERCENT,
        ),
        propagate_tags=ecs.PropagateManagedInstancesTags.CAPACITY_PROVIDER,
    )
    # GPU machines have local disks, several times faster than EBS: images are unpacked there.
    resource = provider.node.default_child
    assert isinstance(resource, ecs.CfnCapacityProvider)
    resource.add_property_override(_LOCAL_STORAGE, True)
    cluster.add_managed_instances_capacity_provider(provider)
    acknowledge(provider, _MANAGED_REASONS)
    return provider.capacity_provider_name


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
