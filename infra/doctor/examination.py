"""All checks of a stage, at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra import costs
from infra.choice import ChoiceError
from infra.doctor import (
    checks_account,
    checks_instances,
    checks_machine,
    checks_places,
    checks_quotas,
    checks_services,
    places,
)
from infra.doctor.account import Account, Denied, NoCredentials, Unknown, current_session
from infra.doctor.machine import Machine, ThisMachine
from infra.doctor.report import Finding, Report, failure, warning
from infra.doctor.subject import Subject
from infra.paths import ROOT
from infra.places import FOLDER, Places, file_for, places_of
from infra.stages import Stage


def _always(_: Stage) -> bool:
    return True


def _engine(stage: Stage) -> bool:
    return stage.engine is not None


def _managed(stage: Stage) -> bool:
    return stage.managed_instances is not None


def _bedrock(stage: Stage) -> bool:
    return any(hosted.is_bedrock for hosted in stage.hosted)


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Shape:  `needed`: which stages have it. `in_account`: it calls AWS.
    """

    title: str
    run: Callable[[Subject], Finding]
    needed: Callable[[Stage], bool] = _always
    in_account: bool = True

    def finding(self, subject: Subject) -> Finding:
        """Return what it found; where AWS gave no answer, that is a warning."""
        try:
            found = self.run(subject)
        except Denied as error:
            found = warning(f"not checked: {error}", f"allow {error.permission}, or look it up yourself")
        except Unknown as error:
            found = warning(f"not checked: {error}", "try again")
        except (LookupError, ValueError) as error:  # a field that AWS left out, or a value of another form
            found = warning(f"not checked: unexpected {type(error).__name__} {error}", "look it up yourself")
        return replace(found, title=self.title)


CHECKS = (
    Check("region", checks_account.region),
    Check("CDK's bootstrap", checks_account.bootstrap),
    Check("stacks", checks_account.stacks),
    Check("zones", checks_places.zones),
    Check("GPU quota", checks_quotas.gpus, _engine),
    Check("CodeBuild", checks_quotas.builds, _engine),
    Check("ECS's role", checks_account.ecs_role, _engine),
    Check("Lambda", checks_quotas.concurrency),
    Check("managed instances", checks_instances.offer, _managed),
    Check("machines' quota", checks_instances.vcpus, _managed),
    Check("networks", checks_quotas.networks),
    Check("addresses", checks_quotas.addresses, lambda stage: stage.egress == "nat"),
    Check("IPv6 names", checks_services.names, lambda stage: stage.egress == "ipv6", in_account=False),
    Check("Aurora", checks_places.aurora),
    Check("RDS's certificates", checks_machine.certificates, in_account=False),
    Check("Bedrock", checks_services.bedrock, _bedrock),
    Check(
        "keys of servers", checks_account.engine_keys, lambda stage: any(h.key_secret for h in stage.hosted)
    ),
    Check("API Gateway's role", checks_account.gateway_role, lambda stage: stage.gateway_role != "none"),
    Check("domain", checks_account.certificate, lambda stage: stage.domain is not None),
    Check("engine's image", checks_machine.registry, _engine, in_account=False),
    Check("model's weights", checks_machine.weights, _engine, in_account=False),
    Check(f"Python {checks_machine.PYTHON}", checks_machine.python, in_account=False),
    Check("Node.js", checks_machine.node, in_account=False),
    Check("mail", checks_account.mail, in_account=False),
)


def examine(
    stage: Stage, session: Any = None, *, machine: Machine | None = None, folder: Path = FOLDER
) -> Report:
    """Look up whether a stage can be deployed, and write down its zones and its database's version.

    Shape:  `session`: boto3's, of the region to deploy to; None: of the process environment. `folder`: where
            `<stage>.<region>.json` is.
    """
    try:
        session = session or current_session()
    except NoCredentials as error:
        return _only(failure(str(error), "AWS_PROFILE, or `aws configure`"), "credentials", stage)
    if not session.region_name:
        return _only(failure("none", "export AWS_REGION=us-east-1, or another"), "region", stage)
    account = Account(session, session.region_name)
    file = file_for(stage, account.region, folder)
    try:
        before = places_of(stage, account.region, folder) or Places()
    except ChoiceError as error:
        return _only(failure(str(error)), "stages", stage, account.region)
    try:
        credentials, number = checks_account.identify(account)
    except Unknown as error:
        credentials, number = failure(str(error), "`aws sts get-caller-identity` must succeed"), None
    subject = Subject(
        stage=stage, account=account, machine=machine or ThisMachine(), number=number or "", places=before
    )
    checks = [check for check in CHECKS if check.needed(stage) and (number or not check.in_account)]
    with ThreadPoolExecutor(len(checks)) as threads:
        found = list(threads.map(lambda check: check.finding(subject), checks))
    added = places.add(file, {name: value for each in found for name, value in each.places.items()})
    return Report(
        stage=stage.name,
        region=account.region,
        account=number,
        findings=(replace(credentials, title="credentials"), *found),
        notes=tuple(_notes(stage, number, file, added)),
    )


def _only(finding: Finding, title: str, stage: Stage, region: str | None = None) -> Report:
    """Return a report of one finding, without which no other check can be made."""
    findings = (replace(finding, title=title),)
    return Report(stage=stage.name, region=region, account=None, findings=findings)


def _notes(stage: Stage, number: str | None, file: Path, added: dict[str, Any]) -> Iterator[str]:
    """Yield what was left out, what was written, and what the stage costs."""
    if not number:
        count = sum(check.in_account and check.needed(stage) for check in CHECKS)
        yield f"{count} more checks need the account."
    if added:
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        yield f"Wrote {json.dumps(added)} to {shown}. Commit it, so that others deploy the same."
    try:
        month = costs.total(costs.idle_month(stage))
        hour = costs.gpu_hour(stage.engine) if stage.engine else None
    except KeyError as error:
        yield f"What it costs is not known: infra/costs.py has no price of {error.args[0]}."
        return
    source = "by the prices of us-east-1; docs/deploy.md has the parts"
    yield f"Without requests it costs ${month:,.2f} a month, {source}."
    if stage.engine and hour is not None:
        yield f"While the engine runs: ${hour:.2f} an hour for each {stage.engine.instance_type}."
    tag = "once that is activated: https://console.aws.amazon.com/billing/home#/tags"
    yield f"Cost Explorer shows its bill alone by the tag chatbot:stage, {tag}"
