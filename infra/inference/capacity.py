"""The GPU machines, managed by ECS or in an Auto Scaling group of our own: none while no task wants one."""

from __future__ import annotations

from aws_cdk import Size
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.nag import acknowledge
from infra.stacks.network import NetworkStack
from infra.stages import Engine

# The image takes about 25 GB unpacked, and as much again while it is unpacked.
DISK_GIB = 100
_DISK_MIB_S = 500
_DISK_IOPS = 4000
# What the machine itself keeps of its memory.
_SYSTEM_GIB = 2
# Of the cheapest that fits: the next larger and the last generation may stand in where that is sold out.
_PRICIER_PERCENT = 60
_LOCAL_STORAGE = "ManagedInstancesProvider.InstanceLaunchTemplate.LocalStorageConfiguration.UseLocalStorage"
_POLICY = "AmazonECSInfrastructureRolePolicyForManagedInstances"
_MANAGED_REASONS = {
    f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]": (
        "ECS manages the machines by the policy that AWS made for this, and keeps up to date."
    ),
    "IAM5[Resource::*]": "The agent finds its endpoint by an action that knows no resources.",
    "IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:container-instance/*]": (
        "The machines' names are not known before they are there."
    ),
}
_MACHINE_REASONS = {
    "AS3": "Machines come and go with the tasks; ECS's own events tell of them.",
    "EC26": "The rule cannot read a launch template; the disk in it is encrypted, which a test looks at.",
    "IAM5[Action::ecs:Submit*]": "The agent submits several states, and ECS limits them to its cluster.",
    "IAM5[Resource::*]": "The agent finds its endpoint by an action that knows no resources.",
}


def add_capacity(
    cluster: ecs.Cluster, *, engine: Engine, network: NetworkStack, group: ec2.ISecurityGroup
) -> str:
    """Give a cluster its machines, and return the capacity provider's name."""
    add = {"managed_instances": _managed_instances, "auto_scaling_group": _auto_scaling_group}
    return add[engine.capacity](cluster, engine, network, group)


def _managed_instances(
    cluster: ecs.Cluster, engine: Engine, network: NetworkStack, group: ec2.ISecurityGroup
) -> str:
    provider = ecs.ManagedInstancesCapacityProvider(
        cluster,
        "Managed",
        subnets=network.vpc.select_subnets(subnet_type=network.subnets.subnet_type).subnets,
        security_groups=[group],
        capacity_option_type=ecs.CapacityOptionType.SPOT if engine.spot else ecs.CapacityOptionType.ON_DEMAND,
        instance_requirements=_requirements(engine),
        propagate_tags=ecs.PropagateManagedInstancesTags.CAPACITY_PROVIDER,
    )
    # GPU machines have disks of their own, several times faster than EBS: images unpack there.
    resource = provider.node.default_child
    assert isinstance(resource, ecs.CfnCapacityProvider)
    resource.add_property_override(_LOCAL_STORAGE, True)
    cluster.add_managed_instances_capacity_provider(provider)
    acknowledge(provider, _MANAGED_REASONS)
    return provider.capacity_provider_name


def _requirements(engine: Engine) -> ec2.InstanceRequirementsConfig:
    return ec2.InstanceRequirementsConfig(
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
        on_demand_max_price_percentage_over_lowest_price=None if engine.spot else _PRICIER_PERCENT,
    )


def _auto_scaling_group(
    cluster: ecs.Cluster, engine: Engine, network: NetworkStack, group: ec2.ISecurityGroup
) -> str:
    role = iam.Role(cluster, "MachineRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    machines = autoscaling.AutoScalingGroup(
        cluster,
        "Machines",
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        min_capacity=0,
        # A deployment starts new tasks beside the old ones where there is more than none at rest.
        max_capacity=engine.tasks[1] * (1 if engine.rests else 2),
        new_instances_protected_from_scale_in=True,
        mixed_instances_policy=autoscaling.MixedInstancesPolicy(
            launch_template=_template(cluster, engine, group, role),
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


def _template(
    scope: Construct, engine: Engine, group: ec2.ISecurityGroup, role: iam.Role
) -> ec2.LaunchTemplate:
    return ec2.LaunchTemplate(
        scope,
        "Template",
        instance_type=ec2.InstanceType(engine.instance_type),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.GPU),
        security_group=group,
        role=role,
        user_data=_user_data(),
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        associate_public_ip_address=False,
        block_devices=[
            ec2.BlockDevice(
                device_name="/dev/xvda",
                volume=ec2.BlockDeviceVolume.ebs(
                    DISK_GIB,
                    volume_type=ec2.EbsDeviceVolumeType.GP3,
                    iops=_DISK_IOPS,
                    throughput=_DISK_MIB_S,
                    encrypted=True,
                ),
            )
        ],
    )


def _user_data() -> ec2.UserData:
    """Return what a machine's agent is told besides its cluster's name."""
    data = ec2.UserData.for_linux()
    # Two minutes before Spot takes the machine back, its tasks are told to stop.
    data.add_commands("echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config")
    # Tasks have a role of their own, and are not to borrow the machine's.
    data.add_commands("echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config")
    return data
