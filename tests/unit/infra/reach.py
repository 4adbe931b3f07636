"""Who can open a connection to whom: a small model of a VPC, read from a stage's templates.

A connection needs all three: a rule of the caller's group that lets it out, a route of the caller's subnets,
and, within the network, a rule of the called one's group that lets it in. Responses need none.

Source: VPC user guide, "Route tables", "Security group rules", "Gateway endpoints", "Egress-only internet
gateways"; Lambda guide, "Giving functions access to resources in a VPC"; read 2026-11-27.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

from .templates import Json

# Addresses for documentation (RFC 5737, RFC 3849) stand for any on the internet.
OUTSIDE_4, OUTSIDE_6 = "198.51.100.1", "2001:db8::1"
_ALL_4, _ALL_6 = "0.0.0.0/0", "::/0"


@dataclass(frozen=True)
class Member:
    """What has network interfaces: a function, the database, the balancer, a task or a machine.

    Shape:  `groups`, `subnets`: logical ids. `public_ipv4`: it has a public address. `ipv6`: it has one.
    """

    name: str
    groups: frozenset[str]
    subnets: frozenset[str]
    public_ipv4: bool = False
    ipv6: bool = False


@dataclass(frozen=True)
class Reach:
    """The network of a stage. Shape: `templates` of its stacks, by the last part of their names."""

    templates: Mapping[str, Json]
    members: Mapping[str, Member] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", {each.name: each for each in self._members()})

    def connects(self, caller: str, called: str, port: int) -> bool:
        """Return whether a member can connect to another one: every subnet has a route within the network."""
        out, into = self.members[caller], self.members[called]
        return any(
            self._lets(rule, port, group=target)
            for source in out.groups
            for rule in self._rules(source, "Egress")
            for target in into.groups
        ) and any(
            self._lets(rule, port, group=source)
            for target in into.groups
            for rule in self._rules(target, "Ingress")
            for source in out.groups
        )

    def reaches_ipv4(self, caller: str, port: int = 443) -> bool:
        """Return whether a member can connect to any host on the internet by IPv4."""
        member = self.members[caller]
        return self._let_out(member, OUTSIDE_4, port) and all(
            self._leaves_by_ipv4(member, subnet) for subnet in member.subnets
        )

    def reaches_ipv6(self, caller: str, port: int = 443) -> bool:
        """Return whether a member can connect to any host on the internet by IPv6."""
        member = self.members[caller]
        return (
            member.ipv6
            and self._let_out(member, OUTSIDE_6, port)
            and all(
                route.get("EgressOnlyInternetGatewayId") or route.get("GatewayId")
                for subnet in member.subnets
                for route in self._routes(subnet, "DestinationIpv6CidrBlock", _ALL_6) or [{}]
            )
        )

    def reaches_service(self, caller: str, service: str) -> bool:
        """Return whether a member reaches `s3` or `dynamodb`, by the network's gateway or the internet."""
        member = self.members[caller]
        by_gateway = all(service in self._gateways(subnet) for subnet in member.subnets)
        return (by_gateway and self._let_out(member, OUTSIDE_4, 443)) or self.reaches_ipv4(caller)

    def is_reached_from_outside(self, called: str) -> bool:
        """Return whether a host on the internet can connect to a member, at any port."""
        member = self.members[called]
        addresses = any(
            rule.get("CidrIp") or rule.get("CidrIpv6") or rule.get("SourcePrefixListId")
            for group in member.groups
            for rule in self._rules(group, "Ingress")
        )
        return addresses and (member.public_ipv4 or (member.ipv6 and self._is_open_to_ipv6(member)))

    # The templates, by logical id; logical ids of resources in the network are those of its stack.

    @cached_property
    def _network(self) -> Mapping[str, Json]:
        resources: Mapping[str, Json] = self.templates["Network"]["Resources"]
        return resources

    @cached_property
    def _exports(self) -> Mapping[str, Any]:
        return {
            str(output["Export"]["Name"]): output["Value"]
            for template in self.templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def _id(self, value: Any) -> str:
        """Return the logical id that a reference leads to, through what other stacks export."""
        if isinstance(value, dict) and "Fn::ImportValue" in value:
            return self._id(self._exports[value["Fn::ImportValue"]])
        if isinstance(value, dict) and "Fn::GetAtt" in value:
            return str(value["Fn::GetAtt"][0])
        return str(value["Ref"]) if isinstance(value, dict) else str(value)

    def _ids(self, values: Any) -> frozenset[str]:
        return frozenset(map(self._id, values))

    def _all(self, kind: str) -> Iterator[tuple[str, str, Json]]:
        """Yield (stack, logical id, properties) of the resources of a type."""
        for stack, template in self.templates.items():
            for name, each in template["Resources"].items():
                if each["Type"] == f"AWS::{kind}":
                    yield stack, name, each.get("Properties", {})

    def _members(self) -> Iterator[Member]:
        for _, name, function in self._all("Lambda::Function"):
            if place := function.get("VpcConfig"):
                yield Member(
                    _short(name),
                    self._ids(place["SecurityGroupIds"]),
                    self._ids(place["SubnetIds"]),
                    ipv6=bool(place.get("Ipv6AllowedForDualStack")),
                )
        subnets = {name: self._ids(each["SubnetIds"]) for _, name, each in self._all("RDS::DBSubnetGroup")}
        for _, _name, cluster in self._all("RDS::DBCluster"):
            group = self._id(cluster["DBSubnetGroupName"])
            yield Member("Database", self._ids(cluster["VpcSecurityGroupIds"]), subnets[group])
        for _, _name, balancer in self._all("ElasticLoadBalancingV2::LoadBalancer"):
            public = balancer.get("Scheme") == "internet-facing"
            groups = self._ids(balancer["SecurityGroups"])
            yield Member("Balancer", groups, self._ids(balancer["Subnets"]), public_ipv4=public)
        for _, _name, service in self._all("ECS::Service"):
            place = service["NetworkConfiguration"]["AwsvpcConfiguration"]
            yield Member(
                "Engine",
                self._ids(place["SecurityGroups"]),
                self._ids(place["Subnets"]),
                public_ipv4=place.get("AssignPublicIp") == "ENABLED",
                ipv6=all(self._assigns_ipv6(self._id(subnet)) for subnet in place["Subnets"]),
            )
        yield from self._machines()

    def _machines(self) -> Iterator[Member]:
        templates = {name: each["LaunchTemplateData"] for _, name, each in self._all("EC2::LaunchTemplate")}
        for _, _name, group in self._all("AutoScaling::AutoScalingGroup"):
            mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
            used = group.get("LaunchTemplate") or mixed["LaunchTemplateSpecification"]
            data = templates[self._id(used["LaunchTemplateId"])]
            interfaces = data.get("NetworkInterfaces", [])
            groups = data.get("SecurityGroupIds") or interfaces[0]["Groups"]
            subnets = self._ids(group["VPCZoneIdentifier"])
            yield Member(
                "Machines",
                self._ids(groups),
                subnets,
                public_ipv4=any(each.get("AssociatePublicIpAddress") for each in interfaces)
                or any(self._network[each]["Properties"].get("MapPublicIpOnLaunch") for each in subnets),
                ipv6=any(each.get("Ipv6AddressCount") for each in interfaces)
                or any(map(self._assigns_ipv6, subnets)),
            )

    def _assigns_ipv6(self, subnet: str) -> bool:
        return bool(self._network[subnet]["Properties"].get("AssignIpv6AddressOnCreation"))

    def _rules(self, group: str, direction: str) -> Iterator[Json]:
        """Yield the rules of a group, those within it and those of their own."""
        yield from self._network[group]["Properties"].get(f"SecurityGroup{direction}", ())
        for _, _name, rule in self._all(f"EC2::SecurityGroup{direction}"):
            if self._id(rule["GroupId"]) == group:
                yield rule

    def _lets(self, rule: Json, port: int, *, group: str) -> bool:
        other = rule.get("DestinationSecurityGroupId") or rule.get("SourceSecurityGroupId")
        return bool(other) and self._id(other) == group and _has_port(rule, port)

    def _let_out(self, member: Member, address: str, port: int) -> bool:
        return any(
            _has_port(rule, port) and _is_in(address, rule)
            for group in member.groups
            for rule in self._rules(group, "Egress")
        )

    def _table(self, subnet: str) -> str:
        (table,) = [
            self._id(each["RouteTableId"])
            for _, _name, each in self._all("EC2::SubnetRouteTableAssociation")
            if self._id(each["SubnetId"]) == subnet
        ]
        return table

    def _routes(self, subnet: str, member: str, destination: str) -> list[Json]:
        table = self._table(subnet)
        return [
            each
            for _, _name, each in self._all("EC2::Route")
            if self._id(each["RouteTableId"]) == table and each.get(member) == destination
        ]

    def _leaves_by_ipv4(self, member: Member, subnet: str) -> bool:
        """Return whether a subnet has a way out: NAT, or an internet gateway for a public address."""
        for route in self._routes(subnet, "DestinationCidrBlock", _ALL_4):
            if "NatGatewayId" in route:
                return self._is_public(self._network[self._id(route["NatGatewayId"])])
            if "GatewayId" in route:
                return member.public_ipv4
        return False

    def _is_public(self, nat: Json) -> bool:
        routes = self._routes(self._id(nat["Properties"]["SubnetId"]), "DestinationCidrBlock", _ALL_4)
        return any("GatewayId" in route for route in routes)

    def _is_open_to_ipv6(self, member: Member) -> bool:
        """Return whether packets from outside reach it: an egress-only gateway lets none in."""
        return any(
            "GatewayId" in route
            for subnet in member.subnets
            for route in self._routes(subnet, "DestinationIpv6CidrBlock", _ALL_6)
        )

    def _gateways(self, subnet: str) -> set[str]:
        """Return the services that a subnet reaches by the network's own gateways."""
        table = self._table(subnet)
        return {
            str(each["ServiceName"]["Fn::Join"][1][-1]).rpartition(".")[2]
            for _, _name, each in self._all("EC2::VPCEndpoint")
            if each["VpcEndpointType"] == "Gateway" and table in self._ids(each["RouteTableIds"])
        }


def _has_port(rule: Json, port: int) -> bool:
    if str(rule["IpProtocol"]) == "-1":
        return True
    return str(rule["IpProtocol"]) == "tcp" and rule["FromPort"] <= port <= rule["ToPort"]


def _is_in(address: str, rule: Json) -> bool:
    block = rule.get("CidrIpv6" if ":" in address else "CidrIp")
    return block is not None and ip_address(address) in ip_network(block)


def _short(logical_id: str) -> str:
    """Return the name of a function, without the hash in its logical id."""
    for name in ("ChatFunction", "TodosFunction", "HostedFunction", "Migrations", "Scaler"):
        if logical_id.startswith(name):
            return name
    return logical_id
