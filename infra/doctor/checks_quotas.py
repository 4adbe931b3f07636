"""Checks of quotas: what a new account may not do yet.

Source: the codes are those of `aws service-quotas list-service-quotas`, in public repositories, 2026-11-27.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.doctor.account import Denied, Refused
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject

# By the first letters of an instance type, and whether it is Spot: quotas of vCPUs that run at once.
_VCPUS = {
    ("g", False): "L-DB2E81BA",
    ("vt", False): "L-DB2E81BA",
    ("g", True): "L-3819A6DF",
    ("vt", True): "L-3819A6DF",
    ("p", False): "L-417A185B",
}
# What Lambda keeps for functions that reserve nothing; where an account may run fewer in all, so many.
_UNRESERVED = 100


@dataclass(frozen=True)
class Quota:
    """A quota of AWS's, as the commands name it."""

    service: str
    code: str

    def value(self, subject: Subject) -> float:
        """Return what the account has; the default where it has none of its own.

        Raises: Unknown, in one of its kinds.
        """
        names = {"ServiceCode": self.service, "QuotaCode": self.code}
        try:
            quota = subject.account.call("service-quotas", "get_service_quota", **names)["Quota"]
        except Refused as error:
            if error.code != "NoSuchResourceException":
                raise
            quota = subject.account.call("service-quotas", "get_aws_default_service_quota", **names)["Quota"]
        return float(quota["Value"])

    def increase(self, subject: Subject, needed: int) -> str:
        """Return the command that requests more, or what became of a request that is open."""
        operation = "list_requested_service_quota_change_history_by_quota"
        names = {"ServiceCode": self.service, "QuotaCode": self.code}
        try:
            requests = subject.account.call("service-quotas", operation, **names)["RequestedQuotas"]
        except (Denied, Refused):
            requests = []
        for request in requests:
            if request.get("Status") in ("PENDING", "CASE_OPENED"):
                return f"{request['DesiredValue']:g} are requested: {request['Status']}, so wait for AWS"
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {needed} --region {subject.region}"
        )


_BUILDS = Quota("codebuild", "L-2DC20C30")  # Linux/Medium, as in infra/inference/copying.py
_CONCURRENCY = Quota("lambda", "L-B99A9384")
_ADDRESSES = Quota("ec2", "L-0263D0A3")
_NETWORKS = Quota("vpc", "L-F678F1CE")


def gpus(subject: Subject) -> Finding:
    """Check that the engine's machines may run: with a quota of 0 a start never ends."""
    engine = subject.stage.engine
    assert engine is not None
    letters = re.split(r"\d", engine.instance_type)[0]
    code = _VCPUS.get((letters, engine.spot))
    if not code:
        page = f"https://{subject.region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas"
        return warning(f"which quota counts {engine.instance_type} is not known here", page)
    quota = Quota("ec2", code)
    (machine,) = subject.account.call("ec2", "describe_instance_types", InstanceTypes=[engine.instance_type])[
        "InstanceTypes"
    ]
    # As in infra/inference/capacity.py: new tasks start beside those that always run. One that scales to zero
    # may start while its machine of before ends, which takes minutes, and counts until then.
    vcpus = machine["VCpuInfo"]["DefaultVCpus"]
    most = vcpus * (engine.machines if engine.machines > 1 else 2 * engine.tasks[1])
    least = vcpus * (engine.machines if engine.machines > 1 else max(engine.tasks[0], 1))
    value = quota.value(subject)
    answer = f"{value:g} vCPUs {'of Spot' if engine.spot else 'on demand'} at once"
    if value < least:
        what = f"{answer}; the engine needs {least} to run at all"
        return failure(what + (f", {most} at most" if most > least else ""), quota.increase(subject, most))
    if value < most:
        what = f"{answer}; {most} needed for all tasks, while machines are replaced"
        return warning(what, quota.increase(subject, most))
    return ok(f"{answer}; at most {most} needed")


def builds(subject: Subject) -> Finding:
    """Check that CodeBuild may copy the image and the weights."""
    value = _BUILDS.value(subject)
    if value < 1:
        return failure("no build may run; one copies the image and the weights", _BUILDS.increase(subject, 1))
    return ok(f"{value:g} builds at once; 1 needed")


def concurrency(subject: Subject) -> Finding:
    """Check how many requests Lambda may serve at once, and that the stage's reservations fit."""
    limits = subject.account.call("lambda", "get_account_settings")["AccountLimit"]
    value, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    chat, todos = subject.stage.reserved
    reserved = (chat or 0) * subject.stage.has_chat_on_demand + (todos or 0)
    answer = f"{value} at once"
    if not reserved:
        if value >= _UNRESERVED:
            return ok(answer)
        # What Bedrock answers instead of an engine takes two functions.
        fallback = subject.stage.engine and any(hosted.is_bedrock for hosted in subject.stage.hosted)
        half = f", or {value // 2} while Bedrock answers for the engine" if fallback else ""
        what = f"{value} streams{half}"
        if subject.stage.managed_instances:
            what = "requests of the functions on demand"
        return warning(f"{answer}: {what}", _CONCURRENCY.increase(subject, 1000))
    if value - reserved < _UNRESERVED:
        needed = reserved + _UNRESERVED
        what = f"{answer}; the stage reserves {reserved}, and {_UNRESERVED} have to be left"
        return failure(what, f"{_CONCURRENCY.increase(subject, needed)}, or `reserved` in infra/stages.py")
    if unreserved - reserved < _UNRESERVED and not subject.stack("Api"):
        what = f"{answer}, of which others reserve {value - unreserved}; the stage reserves {reserved} more"
        return failure(what, _CONCURRENCY.increase(subject, value - unreserved + reserved + _UNRESERVED))
    return ok(f"{answer}; {reserved} reserved")


def addresses(subject: Subject) -> Finding:
    """Check that there are addresses for the NAT gateways."""
    value, needed = _ADDRESSES.value(subject), subject.stage.zones
    used = len(subject.account.call("ec2", "describe_addresses")["Addresses"])
    answer = f"{used} of {value:g} in use"
    if used + needed > value and not subject.stack("Network"):
        return failure(f"{answer}; {needed} more needed", _ADDRESSES.increase(subject, used + needed))
    return ok(answer)


def networks(subject: Subject) -> Finding:
    """Check that one more VPC may be made."""
    value = _NETWORKS.value(subject)
    used = len(subject.account.items("ec2", "describe_vpcs", "Vpcs"))
    answer = f"{used} of {value:g} in use"
    if used >= value and not subject.stack("Network"):
        remedy = f"{_NETWORKS.increase(subject, used + 1)}; or delete one that is not used"
        return failure(f"{answer}; 1 more needed", remedy)
    return ok(answer)
