"""Checks of what differs by region: its zones, and the versions of its database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject

# As in infra/stacks/data.py; a test compares.
MAJOR = "18"
_ENGINE = "aurora-postgresql"
_CLASS = "db.serverless"


def zones(subject: Subject) -> Finding:
    """Choose zones: those that are deployed, else those that offer the engine's machine and the database."""
    available = _available(subject)
    machine = _with_machine(subject)
    written, deployed = list(subject.places.zones or ()), _deployed(subject)
    if written and deployed and written != deployed:
        return failure(
            f"{_file(subject)} has {', '.join(written)}, the network {', '.join(deployed)}: "
            "it would be replaced, with all that is in it",
            f"the zones of the network, in this order, in {_file(subject)}",
        )
    if chosen := written or deployed:
        return _kept(subject, chosen, available, machine)
    suited = available.keys() & _with_database(subject)
    order = sorted(suited, key=lambda zone: (zone not in machine, zone))[: subject.stage.zones]
    if len(order) < subject.stage.zones:
        return failure(
            f"{len(order)} of {len(available)} zones offer Aurora Serverless; {subject.stage.zones} needed",
            "another region (AWS_REGION), or `zones` in infra/stages.py",
        )
    return _described(subject, sorted(order), available, machine, new=True)


def _kept(subject: Subject, chosen: list[str], available: dict[str, str], machine: set[str]) -> Finding:
    """Return whether zones of a file, or of a network that is there, still suit the stage."""
    if gone := [zone for zone in chosen if zone not in available]:
        return failure(
            f"{', '.join(gone)} of {_file(subject)} is no zone of this account",
            f"correct {_file(subject)}, or delete it where nothing is deployed",
        )
    if len(chosen) != subject.stage.zones:
        return failure(
            f"{', '.join(chosen)} are {len(chosen)}; infra/stages.py has zones={subject.stage.zones}",
            f"zones={len(chosen)} in infra/stages.py; where nothing is deployed, delete {_file(subject)}",
        )
    return _described(subject, chosen, available, machine, new=not subject.places.zones)


def _described(
    subject: Subject, chosen: list[str], available: dict[str, str], machine: set[str], *, new: bool
) -> Finding:
    answer = ", ".join(f"{zone} ({available[zone]})" for zone in chosen)
    places = {"zones": chosen} if new else {}
    engine = subject.stage.engine
    with_machine = [zone for zone in chosen if zone in machine]
    if not engine:
        return ok(answer, places=places)
    if not machine:
        return failure(
            f"no zone of {subject.region} offers {engine.instance_type}",
            "another region (AWS_REGION), or `instance_type` in infra/stages.py",
        )
    if not with_machine:
        others = f"{', '.join(sorted(machine))} do"
        return failure(
            f"{answer}: none offers {engine.instance_type}, {others}",
            f"if nothing is deployed, delete {_file(subject)}; else `make destroy`, which deletes data, or "
            "another `instance_type`",
        )
    if len(with_machine) < len(chosen):
        return warning(
            f"{answer}; only {', '.join(with_machine)} offers {engine.instance_type}",
            "fewer places to find a machine in; another region may have more",
            places=places,
        )
    return ok(f"{answer}, with {engine.instance_type}", places=places)


def _available(subject: Subject) -> dict[str, str]:
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


def _with_machine(subject: Subject) -> set[str]:
    engine = subject.stage.engine
    if not engine:
        return set()
    offers = subject.account.items(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [engine.instance_type]}],
    )
    return {offer["Location"] for offer in offers}


def _with_database(subject: Subject) -> set[str]:
    options = subject.account.items(
        "rds",
        "describe_orderable_db_instance_options",
        "OrderableDBInstanceOptions",
        Engine=_ENGINE,
        DBInstanceClass=_CLASS,
    )
    return {
        zone["Name"]
        for option in options
        if option["EngineVersion"].partition(".")[0] == MAJOR
        for zone in option["AvailabilityZones"]
    }


def _deployed(subject: Subject) -> list[str]:
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


def _file(subject: Subject) -> str:
    return f"stages/{subject.stage.name}.{subject.region}.json"


def aurora(subject: Subject) -> Finding:
    """Choose the database's version: the one that is deployed, else the newest minor one of its major."""
    offered = _versions(subject)
    chosen = subject.places.aurora
    running = _running(subject)
    newest = max(offered, key=_number, default=None)
    if chosen or running:
        version = chosen or running
        if not running and version not in offered:
            return failure(
                f"{version} of {_file(subject)} is not on offer in {subject.region}",
                f'"aurora": "{newest}" in it' if newest else "another region (AWS_REGION)",
            )
        runs = f"{running} is running" if running else "chosen before"
        answer = f"{version}; {runs}, and the newest of {MAJOR} is {newest or 'none'}"
        return ok(answer, places={} if chosen else {"aurora": version})
    if not newest:
        least = subject.stage.database.capacity[0]
        return failure(
            f"no version {MAJOR} of Aurora PostgreSQL that scales down to {least:g} ACUs",
            "another region (AWS_REGION)",
        )
    return ok(f"{newest}, the newest of {MAJOR}", places={"aurora": newest})


def _versions(subject: Subject) -> set[str]:
    """Return the minor versions of our major one that scale down as far as the stage wants."""
    found = subject.account.items("rds", "describe_db_engine_versions", "DBEngineVersions", Engine=_ENGINE)
    least = subject.stage.database.capacity[0]
    return {
        each["EngineVersion"]
        for each in found
        if re.fullmatch(rf"{MAJOR}\.\d+", each["EngineVersion"])
        and each.get("ServerlessV2FeaturesSupport", {}).get("MinCapacity", float("inf")) <= least
    }


def _running(subject: Subject) -> str | None:
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


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
