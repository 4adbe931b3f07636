"""Checks of Lambda Managed Instances: the region, the zones, and how many machines may run."""

from __future__ import annotations

from infra import instances
from infra.doctor import region
from infra.doctor.account import Refused
from infra.doctor.checks_quotas import Quota
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject

# Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances: vCPUs at once.
_STANDARD = Quota("ec2", "L-1216C47A")
_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html"


def offer(subject: Subject) -> Finding:
    """Check that Lambda has capacity providers in the region, and EC2 one of the types in each of the zones.

    Which zones Lambda itself accepts cannot be looked up: a report has one that it refused.
    """
    settings = subject.stage.managed_instances
    assert settings is not None
    try:
        subject.account.call("lambda", "list_capacity_providers", MaxItems=1)
    except Refused as error:
        what = f"Lambda in {subject.region} does not list capacity providers ({error.code})"
        return warning(f"{what}: managed instances may not be on offer there", _PAGE)
    chosen = list(subject.places.zones or region.available_zones(subject))
    offering = region.zones_with(subject, settings.instance_types)
    types = ", ".join(settings.instance_types)
    if lacking := [zone for zone in chosen if zone not in offering]:
        remedy = "another type in `managed_instances.instance_types` of infra/stages.py"
        if len(lacking) == len(chosen):
            return failure(f"no zone of the stage offers {types}", remedy)
        return warning(f"{', '.join(lacking)} offers no {types}", remedy)
    return ok(f"{types} in each zone")


def vcpus(subject: Subject) -> Finding:
    """Check that the machines may run: a first version that finds no room leaves an unusable provider."""
    settings = subject.stage.managed_instances
    assert settings is not None
    value = _STANDARD.value(subject)
    least, most = instances.first_vcpus(settings), instances.most_vcpus(settings)
    answer = f"{value:g} vCPUs on demand at once"
    if value < least:
        what = f"{answer}; the chat function needs {least} to run at all, {most} at most"
        return failure(what, _STANDARD.increase(subject, most))
    if value < most:
        what = f"{answer}; {most} needed for all environments, while a new version replaces them"
        return warning(what, _STANDARD.increase(subject, most))
    return ok(f"{answer}; at most {most} needed")
