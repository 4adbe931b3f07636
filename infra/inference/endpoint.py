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
from infra.stacks.network import NetworkStack
from infra.stages import Stage

# A woken engine is found as soon as it is there: also "no such name" is remembered no longer.
_TTL = Duration.seconds(10)
_REASONS = {
    "ELB2": "Only the chat function asks it, and logs each request itself.",
}


def namespace(
    scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack
) -> discovery.PrivateDnsNamespace:
    """Make the private zone in which the engine has its name."""
    zone = discovery.PrivateDnsNamespace(
        scope,
        construct_id,
        name=_zone(stage),
        vpc=network.vpc,
        description="The inference engine",
    )
    resource = zone.node.default_child
    assert isinstance(resource, discovery.CfnPrivateDnsNamespace)
    resource.add_property_override("Properties.DnsProperties.SOA.TTL", _TTL.to_seconds())
    return zone


def host(stage: Stage) -> str:
    """Return the engine's name in the zone of a stage."""
    return f"{ENGINE}.{_zone(stage)}"


def name_in(zone: discovery.PrivateDnsNamespace) -> ecs.CloudMapOptions:
    """Return how a service takes its name in a zone."""
    return ecs.CloudMapOptions(
        cloud_map_namespace=zone, name=ENGINE, dns_record_type=discovery.DnsRecordType.A, dns_ttl=_TTL
    )


def balancer(
    scope: Construct, construct_id: str, *, network: NetworkStack, group: ec2.ISecurityGroup
) -> elb.ApplicationLoadBalancer:
    """Make a load balancer that nobody outside the network reaches."""
    made = elb.ApplicationLoadBalancer(
        scope,
        construct_id,
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_group=group,
        internet_facing=False,
        drop_invalid_header_fields=True,
        # A reply that is not streamed says nothing until it is whole.
        idle_timeout=Duration.seconds(LONGEST_STREAM_S),
    )
    acknowledge(made, _REASONS)
    return made


def put_before(balancer: elb.ApplicationLoadBalancer, service: ecs.BaseService) -> None:
    """Lead a balancer's requests to a service's tasks.

    A task is stopped only once its last stream has ended. New requests go where fewest are under way, which
    a slow start would not allow; and an engine that answers `/health` is as fast as it will ever be.
    """
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


def _zone(stage: Stage) -> str:
    return f"chatbot-{stage.name}.internal"
