"""The Auto Scaling group of an engine's machines, and ECS's capacity provider for it.

Where tasks always run, ECS sets the number of machines by what its tasks need (managed scaling). Where the
engine scales to zero, only the scaler does, with the number of tasks at the same time: an alarm of managed
scaling would decide a minute later. The template has no number of machines, so no deployment changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam

from infra.inference.machine import HOOK, launch_template, on_spot
from infra.nag import acknowledge
from infra.stages import Engine

# Longer than the image takes to be pulled and unpacked.
_PREPARED = Duration.minutes(30)
_PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_MACHINE_REASONS = {
    "AS3": "Machines start and stop with the tasks; ECS's own events record it.",
    "EC26": "The rule cannot read a launch template; the disk in it is encrypted, which a test checks.",
    "IAM5[Action::ecs:Submit*]": "The agent submits several states, and ECS limits them to its cluster.",
    "IAM5[Resource::*]": "The agent finds its endpoint by an action that has no resources; nor have ECR's "
    "sign-in, and finding the group of a machine.",
}


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """Shape: `provider` is the name of ECS's capacity provider."""

    provider: str
    group: autoscaling.AutoScalingGroup


def add_capacity(
    cluster: ecs.Cluster,
    *,
    engine: Engine,
    vpc: ec2.IVpc,
    subnets: ec2.SubnetSelection,
    security_group: ec2.ISecurityGroup,
    public: bool,
    repository: ecr.IRepository,
    image: str,
) -> Capacity:
    """Give a cluster its machines.

    Shape:  `public`: they have public addresses. `image`: what a machine of the warm pool pulls before it is
            stopped, from `repository`.
    """
    role = iam.Role(cluster, "MachineRole", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    template = launch_template(
        cluster, engine, image=image, security_group=security_group, role=role, public=public
    )
    always = not engine.scales_to_zero
    alone = engine.scales_to_zero or engine.machines > 1
    group = autoscaling.AutoScalingGroup(
        cluster,
        "Machines",
        vpc=vpc,
        vpc_subnets=subnets,
        min_capacity=0,
        # Where tasks always run, a deployment starts new ones beside the old ones.
        max_capacity=engine.machines if alone else 2 * engine.tasks[1],
        new_instances_protected_from_scale_in=always,
        # The alarm on an engine that fails to stop reads it; it costs nothing.
        group_metrics=[autoscaling.GroupMetrics(autoscaling.GroupMetric.IN_SERVICE_INSTANCES)],
        launch_template=None if engine.spot else template,
        mixed_instances_policy=on_spot(template) if engine.spot else None,
    )
    if engine.machines > 1:
        _keep_together(group)
    provider = _add_provider(cluster, group, managed=always)
    if engine.warm_pool:
        _add_warm_pool(cluster, group, role, repository)
    if engine.spot:
        # The agent has its own machine drained when Spot takes it back; CDK does not allow that.
        own = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
        drain = ["ecs:UpdateContainerInstancesState"]
        role.add_to_policy(iam.PolicyStatement(actions=drain, resources=["*"], conditions=own))
    for construct in (group, role):
        acknowledge(construct, _MACHINE_REASONS)
    return Capacity(provider=provider.capacity_provider_name, group=group)


def _add_provider(
    cluster: ecs.Cluster, group: autoscaling.AutoScalingGroup, *, managed: bool
) -> ecs.AsgCapacityProvider:
    """Have ECS place tasks on the group's machines; `managed`: and set how many these are."""
    provider = ecs.AsgCapacityProvider(
        cluster,
        "Group",
        auto_scaling_group=group,
        enable_managed_scaling=managed,
        enable_managed_termination_protection=managed,
        enable_managed_draining=True,
        target_capacity_percent=100 if managed else None,
    )
    resource = provider.node.find_child("Group")
    assert isinstance(resource, ecs.CfnCapacityProvider)
    status = "ENABLED" if managed else "DISABLED"
    resource.add_property_override("AutoScalingGroupProvider.ManagedScaling.Status", status)
    cluster.add_asg_capacity_provider(provider)
    return provider


def _keep_together(group: autoscaling.AutoScalingGroup) -> None:
    """Have the group's machines near each other, in one zone."""
    near = ec2.PlacementGroup(group, "Near", strategy=ec2.PlacementGroupStrategy.CLUSTER)
    resource = group.node.default_child
    assert isinstance(resource, autoscaling.CfnAutoScalingGroup)
    resource.placement_group = near.placement_group_name


def _add_warm_pool(
    cluster: ecs.Cluster,
    group: autoscaling.AutoScalingGroup,
    role: iam.Role,
    repository: ecr.IRepository,
) -> None:
    """Keep one machine stopped, with the image on its disk, while the group has none.

    ECS does not allow a machine to return to the pool: after it has served, another one is prepared.
    Source: Amazon ECS, "Configuring pre-initialized instances for your Amazon ECS Auto Scaling group"; Amazon
            EC2 Auto Scaling, "Use lifecycle hooks with a warm pool", read 2026-11-27.
    """
    stack = Stack.of(cluster)
    # Not in the role's own policy: the template waits for that, and the group, named here, for the template.
    preparing = iam.Policy(
        cluster,
        "Preparing",
        roles=[role],
        statements=[
            iam.PolicyStatement(
                actions=["ecr:GetAuthorizationToken", "autoscaling:DescribeAutoScalingInstances"],
                resources=["*"],
            ),
            iam.PolicyStatement(
                actions=[f"ecr:{action}" for action in _PULL], resources=[repository.repository_arn]
            ),
            iam.PolicyStatement(
                actions=["autoscaling:CompleteLifecycleAction"], resources=[group_arn(stack, group)]
            ),
        ],
    )
    acknowledge(preparing, _MACHINE_REASONS | group_reasons(group))
    hook = group.add_lifecycle_hook(
        "Prepare",
        lifecycle_hook_name=HOOK,
        lifecycle_transition=autoscaling.LifecycleTransition.INSTANCE_LAUNCHING,
        heartbeat_timeout=_PREPARED,
        # A machine that does not report itself is as good as one without a pool.
        default_result=autoscaling.DefaultResult.CONTINUE,
    )
    pool = group.add_warm_pool(pool_state=autoscaling.PoolState.STOPPED)
    pool.node.add_dependency(preparing, hook)


def group_arn(stack: Stack, group: autoscaling.IAutoScalingGroup) -> str:
    """Return an ARN that only one group of the region has; the group's id within it is not known."""
    return stack.format_arn(
        service="autoscaling",
        resource="autoScalingGroup",
        resource_name=f"*:autoScalingGroupName/{group.auto_scaling_group_name}",
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


def group_reasons(group: autoscaling.AutoScalingGroup) -> dict[str, str]:
    """Return what to acknowledge to cdk-nag where a role may change one group."""
    stack = Stack.of(group)
    name = stack.resolve(group.auto_scaling_group_name)["Ref"]
    account = "<AWS::Region>:<AWS::AccountId>"
    arn = f"arn:<AWS::Partition>:autoscaling:{account}:autoScalingGroup:*:autoScalingGroupName/<{name}>"
    return {f"IAM5[Resource::{arn}]": "A group's ARN has an id that is not known; its name is."}
