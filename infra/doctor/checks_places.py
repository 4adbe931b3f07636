"""Checks of what differs by region: its zones, and the versions of its database."""

from __future__ import annotations

from infra.doctor import region
from infra.doctor.region import MAJOR
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject


def zones(subject: Subject) -> Finding:
    """Choose zones: those that are deployed, else those that offer the engine's machine and the database."""
    available = region.available_zones(subject)
    machine = region.zones_with_machine(subject)
    written, deployed = list(subject.places.zones or ()), region.deployed_zones(subject)
    if written and deployed and written != deployed:
        return failure(
            f"{_file(subject)} has {', '.join(written)}, the network {', '.join(deployed)}: "
            "it would be replaced, with all that is in it",
            f"the zones of the network, in this order, in {_file(subject)}",
        )
    if chosen := written or deployed:
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
        return _described(subject, chosen, available, machine, new=not written)
    suited = available.keys() & region.zones_with_database(subject)
    order = sorted(suited, key=lambda zone: (zone not in machine, zone))[: subject.stage.zones]
    if len(order) < subject.stage.zones:
        return failure(
            f"{len(order)} of {len(available)} zones offer Aurora Serverless; {subject.stage.zones} needed",
            "another region (AWS_REGION), or `zones` in infra/stages.py",
        )
    return _described(subject, sorted(order), available, machine, new=True)


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


def _file(subject: Subject) -> str:
    return f"stages/{subject.stage.name}.{subject.region}.json"


def aurora(subject: Subject) -> Finding:
    """Choose the database's version: the one that is deployed, else the newest minor one of its major."""
    offered = region.aurora_versions(subject)
    chosen = subject.places.aurora
    running = region.running_aurora(subject)
    newest = max(offered, key=lambda version: [int(part) for part in version.split(".")], default=None)
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
