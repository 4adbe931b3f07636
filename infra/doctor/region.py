"""What AWS offers in the stage's region, and what is deployed there.

Raises: Unknown, in one of its kinds, each function.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from infra.doctor.subject import Subject

# As in infra/stacks/data.py; a test compares.
MAJOR = "18"
_ENGINE = "aurora-postgresql"


def available_zones(subject: Subject) -> dict[str, str]:
    """Return the zones of the account in the region, by name, with their ids."""
    found = subject.account.call(
        "ec2",
        "describe_availability_zones",
        Filters=[
            {"Name": "zone-type", "Values": ["availability-zone"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )["AvailabilityZones"]
    return {zone["ZoneName"]: zone["ZoneId"] for zone in found}


def zones_with_machine(subject: Subject) -> set[str]:
    """Return the zones that offer the engine's machine; none without an engine."""
    engine = subject.stage.engine
    return zones_with(subject, [engine.instance_type]) if engine else set()


def zones_with(subject: Subject, instance_types: Sequence[str]) -> set[str]:
    """Return the zones that offer one of these types of machines."""
    offers = subject.account.items(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(instance_types)}],
    )
    return {offer["Location"] for offer in offers}


def zones_with_database(subject: Subject) -> set[str]:
    """Return the zones that offer Aurora Serverless of our major version."""
    options = subject.account.items(
        "rds",
        "describe_orderable_db_instance_options",
        "OrderableDBInstanceOptions",
        Engine=_ENGINE,
        DBInstanceClass="db.serverless",
    )
    return {
        zone["Name"]
        for option in options
        if option["EngineVersion"].partition(".")[0] == MAJOR
        for zone in option["AvailabilityZones"]
    }


def deployed_zones(subject: Subject) -> list[str]:
    """Return the zones of the stage's network, in the order of its private subnets; [] without one."""
    subnets = subject.account.items(
        "ec2",
        "describe_subnets",
        "Subnets",
        Filters=[{"Name": "tag:aws:cloudformation:stack-name", "Values": [subject.stack_name("Network")]}],
    )
    ids = {_tag(subnet["Tags"], "aws:cloudformation:logical-id"): subnet for subnet in subnets}
    return [str(ids[name]["AvailabilityZone"]) for name in sorted(ids) if "Private" in name]


def _tag(tags: Iterable[dict[str, Any]], key: str) -> str:
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == key), "")


def aurora_versions(subject: Subject) -> set[str]:
    """Return the minor versions of our major one that scale down as far as the stage wants."""
    found = subject.account.items("rds", "describe_db_engine_versions", "DBEngineVersions", Engine=_ENGINE)
    least = subject.stage.database.capacity[0]
    return {
        each["EngineVersion"]
        for each in found
        if re.fullmatch(rf"{MAJOR}\.\d+", each["EngineVersion"])
        and each.get("ServerlessV2FeaturesSupport", {}).get("MinCapacity", float("inf")) <= least
    }


def running_aurora(subject: Subject) -> str | None:
    """Return the version of the stage's database, None without one."""
    clusters = subject.account.items("rds", "describe_db_clusters", "DBClusters")
    stack = subject.stack_name("Data")
    return next(
        (
            str(cluster["EngineVersion"])
            for cluster in clusters
            if _tag(cluster.get("TagList", []), "aws:cloudformation:stack-name") == stack
        ),
        None,
    )
