"""A VPC has a range of IPv6 addresses, of which its subnets take parts; ministack's has none.

Source: CloudFormation, AWS::EC2::VPC, Return values, read 2026-11-27.
"""

from typing import Any

from ministack.services.cloudformation import provisioners

TYPE = "AWS::EC2::VPC"
# Of those that are for documentation: RFC 3849.
_RANGE = "2001:db8:0:100::/56"


def needed() -> bool:
    """Return whether ministack's still has none."""
    _, attributes = provisioners._RESOURCE_HANDLERS[TYPE]["create"]("Probe", {}, "Probe")
    return "Ipv6CidrBlocks" not in attributes


def install() -> None:
    """Give every VPC the same one."""
    known = provisioners._RESOURCE_HANDLERS[TYPE]

    def create(logical_id: str, properties: Any, stack: str) -> Any:
        vpc, attributes = known["create"](logical_id, properties, stack)
        return vpc, {**attributes, "Ipv6CidrBlocks": [_RANGE]}

    provisioners._RESOURCE_HANDLERS[TYPE] = {**known, "create": create}
