"""Lambda Managed Instances: how many environments a machine has room for, and how many machines they need.

Source: AWS Lambda, "Scaling Lambda Managed Instances", read 2026-11-28. That one vCPU and 1 GiB of each
machine are Lambda's own is from AWS's cost calculator, not from its documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from infra.stages import ManagedInstances, Stage

# More streams than that for one vCPU are not accepted.
MOST_CONCURRENT = 64
# A first version starts as many, whatever its minimum: one in each of three zones.
FIRST_ENVIRONMENTS = 3
_MOST_ENVIRONMENTS = 15_000
# Of a provider; CDK accepts no fewer.
_LEAST_VCPUS = 12
_OF_LAMBDA_VCPUS, _OF_LAMBDA_GIB = 1, 1
# GiB of a machine for each vCPU, by the family.
_RATIOS = {"c": 2, "m": 4, "r": 8}
_TYPE = re.compile(r"(?P<family>[cmr])\d+(?P<kind>[a-z]*)(-flex)?\.(?P<times>\d*)(?P<size>x?large)")


def vcpus(instance_type: str) -> int:
    """Return how many vCPUs a machine of this type has."""
    parts = _parts(instance_type)
    return 2 if parts["size"] == "large" else 4 * int(parts["times"] or 1)


def room(instance_type: str, memory_gib: int) -> int:
    """Return how many environments with one vCPU and this memory fit a machine."""
    count = vcpus(instance_type)
    gib = count * _RATIOS[_parts(instance_type)["family"]]
    return min(count - _OF_LAMBDA_VCPUS, (gib - _OF_LAMBDA_GIB) // memory_gib)


def machines(instances: ManagedInstances, environments: int, instance_type: str | None = None) -> int:
    """Return how many machines so many environments need, of the first type or of another.

    The first three are in zones of their own, even where one machine has room for them: by AWS's
    documentation, and by a report of larger machines.
    """
    each = room(instance_type or instances.instance_types[0], instances.memory_gib)
    return max(math.ceil(environments / each), min(environments, FIRST_ENVIRONMENTS))


def first_vcpus(instances: ManagedInstances) -> int:
    """Return how many vCPUs a first version needs in order to start at all."""
    environments = max(instances.environments[0], FIRST_ENVIRONMENTS)
    return max(machines(instances, environments, each) * vcpus(each) for each in instances.instance_types)


def most_vcpus(instances: ManagedInstances) -> int:
    """Return how many vCPUs there may be at most: those of two versions, as during a deployment.

    By a report, a provider whose first version did not fit stays unusable: there is no room to save here.
    """
    environments = max(instances.environments[1], FIRST_ENVIRONMENTS)
    most = max(machines(instances, environments, each) * vcpus(each) for each in instances.instance_types)
    return max(2 * most, _LEAST_VCPUS)


def mistakes(stage: Stage, instances: ManagedInstances) -> Iterator[str]:
    """Yield each mistake, a sentence that begins with the setting's name."""
    least, most = instances.environments
    if not 1 <= least <= most <= _MOST_ENVIRONMENTS:
        yield (
            f"managed_instances.environments: expected the minimum, at least 1, then the maximum, at most "
            f"{_MOST_ENVIRONMENTS}, but got {least} and {most}."
        )
    if not 1 <= instances.concurrency <= MOST_CONCURRENT:
        yield (
            f"managed_instances.concurrency: expected 1 to {MOST_CONCURRENT}, all that Lambda allows for one "
            f"vCPU, but got {instances.concurrency}."
        )
    if instances.memory_gib not in _RATIOS.values():
        yield f"managed_instances.memory_gib: expected 2, 4 or 8, but got {instances.memory_gib}."
    if not instances.instance_types:
        yield 'managed_instances.instance_types: expected one at least, as ("c7g.large",), but got none.'
    for each in instances.instance_types:
        yield from _type_mistakes(stage, instances, each)
    if not stage.engine and stage.egress != "nat":
        yield (
            'managed_instances: expected egress="nat" without an engine, since hosted models are then called '
            "from the network, by IPv4."
        )


def _type_mistakes(stage: Stage, instances: ManagedInstances, instance_type: str) -> Iterator[str]:
    name = "managed_instances.instance_types"
    if not _TYPE.fullmatch(instance_type):
        yield f"{name}: expected types of C, M or R from large up, as c7g.large, but got {instance_type!r}."
        return
    architecture = "arm64" if _parts(instance_type)["kind"].startswith("g") else "x86_64"
    if architecture != stage.architecture:
        yield (
            f"{name}: expected types of {stage.architecture}, as the functions are, but got "
            f"{instance_type!r} of {architecture}."
        )
    if instances.memory_gib in _RATIOS.values() and room(instance_type, instances.memory_gib) < 1:
        yield (
            f"{name}: expected room for {instances.memory_gib} GiB beside Lambda's own, but {instance_type} "
            "has none."
        )


def _parts(instance_type: str) -> dict[str, str]:
    """Return the parts of a type's name.

    Raises: KeyError, with the type, where it is not one of C, M and R.
    """
    found = _TYPE.fullmatch(instance_type)
    if not found:
        raise KeyError(instance_type)
    return found.groupdict()
