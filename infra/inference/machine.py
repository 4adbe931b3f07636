"""The GPU machine under a task: its system, its disk, and what it does when it starts.

A machine of a warm pool is stopped after its first start, once the image is on its disk; its user data runs
again when it is started for a task. See docs/scale.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.inference.sources import source
from infra.stages import Engine

# The name of the lifecycle hook that `programs/prepare.sh` completes.
HOOK = "prepare"
_AGENT = (
    # Two minutes before Spot takes the machine back, its tasks are stopped.
    "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true",
    # Tasks have a role of their own, and must not use the machine's.
    "ECS_AWSVPC_BLOCK_IMDS=true",
    # The image is named by its digest: one that is on the disk is the right one.
    "ECS_IMAGE_PULL_BEHAVIOR=prefer-cached",
)
# cloud-init runs user data at the first start only, unless this is set.
_ALWAYS = "#cloud-config\ncloud_final_modules:\n- [scripts-user, always]\n"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A machine's disk, gp3. Units: `gib` GiB, `mib_s` MiB a second, `iops` operations a second."""

    gib: int
    mib_s: int
    iops: int


def disk(engine: Engine) -> Disk:
    """Return the disk of an engine's machines.

    The image is about 25 GB unpacked, and needs half as much again while it is unpacked; the system has 10.
    The disk of a stopped machine is paid for all month, so it is small, and no faster than a start needs.
    """
    return Disk(gib=60, mib_s=250, iops=3000) if engine.warm_pool else Disk(gib=100, mib_s=500, iops=4000)


def launch_template(
    scope: Construct,
    engine: Engine,
    *,
    image: str,
    security_group: ec2.ISecurityGroup,
    role: iam.Role,
    public: bool,
) -> ec2.LaunchTemplate:
    """Make the template of an engine's machines.

    Shape:  `public`: a machine has a public address; no rule of its group lets anything in.
    """
    size = disk(engine)
    user_data = ec2.UserData.for_linux()
    user_data.add_commands(*(f"echo {line} >> /etc/ecs/ecs.config" for line in _AGENT))
    volume = ec2.BlockDeviceVolume.ebs(
        size.gib,
        volume_type=ec2.EbsDeviceVolumeType.GP3,
        iops=size.iops,
        throughput=size.mib_s,
        encrypted=True,
    )
    return ec2.LaunchTemplate(
        scope,
        "Template",
        instance_type=ec2.InstanceType(engine.instance_type),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.GPU),
        security_group=security_group,
        role=role,
        user_data=_pool_user_data(scope, image) if engine.warm_pool else user_data,
        require_imdsv2=True,
        http_put_response_hop_limit=1,
        associate_public_ip_address=public,
        block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=volume)],
    )


def on_spot(template: ec2.LaunchTemplate) -> autoscaling.MixedInstancesPolicy:
    """Return the policy of a group whose machines are all on Spot."""
    return autoscaling.MixedInstancesPolicy(
        launch_template=template,
        instances_distribution=autoscaling.InstancesDistribution(
            on_demand_percentage_above_base_capacity=0,
            spot_allocation_strategy=autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
        ),
    )


def _pool_user_data(scope: Construct, image: str) -> ec2.UserData:
    """Return user data that runs at each start, before the agent does.

    Source: Amazon ECS, "Configuring pre-initialized instances for your Amazon ECS Auto Scaling group"; Amazon
            EC2 Auto Scaling, "Use lifecycle hooks with a warm pool", read 2026-11-27.
    """
    script = ec2.UserData.for_linux()
    script.add_commands(
        ": > /etc/ecs/ecs.config",
        *(f"echo {line} >> /etc/ecs/ecs.config" for line in (*_AGENT, "ECS_WARM_POOLS_CHECK=true")),
        f"export AWS_DEFAULT_REGION={Stack.of(scope).region} IMAGE={image} HOOK={HOOK}",
        source("prepare", "sh"),
    )
    user_data = ec2.MultipartUserData()
    user_data.add_part(ec2.MultipartBody.from_raw_body(content_type="text/cloud-config", body=_ALWAYS))
    user_data.add_user_data_part(script, ec2.MultipartBody.SHELL_SCRIPT, True)
    return user_data
