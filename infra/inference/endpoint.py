"""How the chat function reaches the engine: by a private DNS name, or through a private load balancer."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from infra.inference.arguments import PORT
from infra.inference.task import ENGINE
from infra.inference.timeouts import LONGEST_STREAM_S
from infra.nag import acknowledge
from infra.stages import Stage

# Short, because "no such name" is cached as long: an engine that has started is found at once.
_TTL = Duration.seconds(10)
_REASONS = {
    "ELB2": "Only the chat function calls it, and logs each request itself.",
}


def zone_name(stage: Stage) -> str:
    """Return the name of a stage's private DNS zone."""
    return f"chatbot-{stage.name}.internal"


def host_name(stage: Stage) -> str:
    """Return the engine's DNS name in the zone of a stage."""
    return f"{ENGINE}.{zone_name(stage)}"


def add_dns_zone(
    scope: Construct, construct_id: str, *, stage: Stage, vpc: ec2.IVpc
) -> discovery.PrivateDnsNamespace:
    """Make the private zone in which the engine has its name."""
    zone = discovery.PrivateDnsNamespace(
        scope,
        construct_id,
        name=zone_name(stage),
        vpc=vpc,
        description="The inference engine",
    )
    resource = zone.node.default_child
    assert isinstance(resource, discovery.CfnPrivateDnsNamespace)
    resource.add_property_override("Properties.DnsProperties.SOA.TTL", _TTL.to_seconds())
    return zone


def cloud_map_options(zone: discovery.PrivateDnsNamespace) -> ecs.CloudMapOptions:
    """Return what registers a service's tasks under the engine's name."""
    return ecs.CloudMapOptions(
        cloud_map_namespace=zone, name=ENGINE, dns_record_type=discovery.DnsRecordType.A, dns_ttl=_TTL
    )


def add_load_balancer(
    scope: Construct,
    construct_id: str,
    *,
    service: ecs.BaseService,
    vpc: ec2.IVpc,
    subnets: ec2.SubnetSelection,
    security_group: ec2.ISecurityGroup,
) -> elb.ApplicationLoadBalancer:
    """Make a load balancer before a service's tasks, which cannot be reached from outside the network.

    A task is stopped only after its last stream has ended. New requests go to the task with the fewest, which
    a slow start would not allow; and an engine that responds at `/health` is as fast as it will ever be.
    """
    balancer = elb.ApplicationLoadBalancer(
        scope,
        construct_id,
        vpc=vpc,
        vpc_subnets=subnets,
        security_group=security_group,
        internet_facing=False,
        drop_invalid_header_fields=True,
        # A reply that is not streamed sends no byte until it is complete.
        idle_timeout=Duration.seconds(LONGEST_STREAM_S),
    )
    acknowledge(balancer, _REASONS)
    listener = balancer.add_listener("Listener", port=PORT, protocol=elb.ApplicationProtocol.HTTP, open=False)
    listener.add_targets(
        "Tasks",
        port=PORT,
        protocol=elb.ApplicationProtocol.HTTP,
        targets=[service.load_balancer_target(container_name=ENGINE, container_port=PORT)],
        deregistration_delay=Duration.seconds(LONGEST_STREAM_S),
        load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
        health_check=elb.HealthCheck(
            path="/health",
            interval=Duration.seconds(15),
            timeout=Duration.seconds(10),
            healthy_threshold_count=2,
            unhealthy_threshold_count=4,
        ),
    )
    return balancer
