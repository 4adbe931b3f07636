"""Checks of what the functions call: Bedrock's models, and AWS's names over IPv6."""

from __future__ import annotations

from infra.doctor.account import Refused
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject
from infra.stages import Hosted

_ABSENT = ("ResourceNotFoundException", "ValidationException")
_MODELS = "https://docs.aws.amazon.com/bedrock/latest/userguide/models-regions.html"
_ACCESS = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html"
# Sold outside AWS's Marketplace: nothing is agreed to before the first call.
_OUTSIDE_MARKETPLACE = ("amazon", "deepseek", "meta", "mistral", "openai", "qwen")


def bedrock(subject: Subject) -> Finding:
    """Check that Bedrock's models are in the region, and that the account may call them.

    Source: "Request access to models" of Bedrock's guide; re:Post, "bedrock-resolve-marketplace-permission";
            both read 2026-11-27.
    """
    models = [hosted for hosted in subject.stage.hosted if hosted.is_bedrock]
    findings = [_model(subject, model) for model in models]
    for status in ("failure", "warning"):
        for finding in findings:
            if finding.status == status:
                return finding
    return ok("; ".join(finding.answer for finding in findings))


def _model(subject: Subject, model: Hosted) -> Finding:
    name = model.served_name
    # Without an engine it answers every completion; with one, callers wait for the engine instead.
    unusable = warning if subject.stage.engine else failure
    try:
        details = subject.account.call("bedrock", "get_foundation_model", modelIdentifier=name)[
            "modelDetails"
        ]
        access = subject.account.call("bedrock", "get_foundation_model_availability", modelId=name)
    except Refused as error:
        if error.code not in _ABSENT:
            raise
        return unusable(
            f"{subject.region} does not offer {name}", f"{_MODELS}, or `hosted` in infra/stages.py"
        )
    if access["regionAvailability"] != "AVAILABLE":
        return unusable(
            f"{subject.region} does not offer {name}", f"{_MODELS}, or `hosted` in infra/stages.py"
        )
    if access["authorizationStatus"] != "AUTHORIZED":
        return unusable(f"{name}: the account may not call it", _ACCESS)
    if not details.get("responseStreamingSupported", True):
        return unusable(f"{name} does not stream", "`hosted` in infra/stages.py")
    agreed = access["agreementAvailability"]["status"] == "AVAILABLE"
    if not agreed and name.partition(".")[0] not in _OUTSIDE_MARKETPLACE:
        once = "call it once in Bedrock's console, as one who may subscribe in AWS's Marketplace"
        return warning(f"{name}: its terms are not agreed to yet", f"{once}: {_ACCESS}")
    return ok(f"{name} may be called")


def names(subject: Subject) -> Finding:
    """Check that what the functions call over IPv6 has an address there."""
    region, scales = subject.region, subject.stage.engine and subject.stage.engine.scales_to_zero
    needed = [f"secretsmanager.{region}.amazonaws.com", *([f"lambda.{region}.api.aws"] if scales else [])]
    found = {name: subject.machine.has_ipv6(name) for name in needed}
    if missing := [name for name, has in found.items() if has is False]:
        remedy = 'egress="nat" in infra/stages.py, or another region (AWS_REGION)'
        return failure(f"no IPv6 address: {', '.join(missing)}", remedy)
    if None in found.values():
        look = f"dig +short AAAA {needed[-1]}, on another machine, must print an address"
        return warning("this machine's resolver returns no IPv6 addresses", look)
    answer, runtime = ", ".join(needed), f"bedrock-runtime.{region}.api.aws"
    outside = subject.stage.engine and any(hosted.is_bedrock for hosted in subject.stage.hosted)
    if outside and subject.machine.has_ipv6(runtime):
        answer += f". {runtime} has one, too: the function outside the VPC may not be needed"
    return ok(answer)
