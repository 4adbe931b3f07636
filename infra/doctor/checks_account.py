"""Checks of the account: who deploys where, and what is there already."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from infra.deploy.stacks import PARTS
from infra.doctor.account import Account, NoCredentials, Refused, Unreachable
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject

# What the templates of our CDK require; a test compares.
BOOTSTRAP_VERSION = 6
_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
# Its endpoints accept the credentials of every account; other regions may have to be enabled.
_HOME = "us-east-1"
_SIGN_IN = "`aws configure` or `aws sso login`, until `aws sts get-caller-identity` shows the account"
# What CloudFormation neither updates nor, by itself, removes. CDK deletes what failed at its first creation.
_STUCK = {
    "CREATE_FAILED": "delete-stack",
    "DELETE_FAILED": "delete-stack",
    "ROLLBACK_FAILED": "delete-stack",
    "UPDATE_ROLLBACK_FAILED": "continue-update-rollback",
}


def identify(account: Account) -> tuple[Finding, str | None]:
    """Return whether AWS accepts the credentials in the region, and the account's number.

    Raises: Unknown, in one of its kinds.
    """
    try:
        caller = account.call("sts", "get_caller_identity")
    except NoCredentials as error:
        if error.invalid and account.region != _HOME:
            with suppress(NoCredentials, Unreachable):
                account.call("sts", "get_caller_identity", region=_HOME)
                return _not_enabled(account.region), None
        return failure(str(error), _SIGN_IN), None
    except Unreachable as error:
        question = f"is {account.region} a region (AWS_REGION), and does this machine reach AWS?"
        return failure(str(error), f"{question} A proxy is set by HTTPS_PROXY"), None
    return ok(caller["Arn"]), caller["Account"]


def _not_enabled(region: str) -> Finding:
    enable = f"aws account enable-region --region-name {region}, which takes some minutes"
    return failure(f"the account has not enabled {region}", enable)


def region(subject: Subject) -> Finding:
    """Check that the account has enabled the region."""
    (found,) = subject.account.call("ec2", "describe_regions", RegionNames=[subject.region], AllRegions=True)[
        "Regions"
    ]
    return _not_enabled(subject.region) if found["OptInStatus"] == "not-opted-in" else ok(subject.region)


def bootstrap(subject: Subject) -> Finding:
    """Check that `cdk bootstrap` was run, by a CDK that is new enough."""
    command = f"npx cdk bootstrap aws://{subject.number}/{subject.region}"
    try:
        parameter = subject.account.call("ssm", "get_parameter", Name=_BOOTSTRAP_PARAMETER)["Parameter"]
    except Refused as error:
        if error.code != "ParameterNotFound":
            raise
        return failure("missing: it is needed once per account and region", command)
    if int(parameter["Value"]) < BOOTSTRAP_VERSION:
        return failure(f"version {parameter['Value']}; expected {BOOTSTRAP_VERSION} or newer", command)
    return ok(f"version {parameter['Value']}")


def stacks(subject: Subject) -> Finding:
    """Check that no stack of the stage is in a state that a deployment cannot change."""
    found = [stack for part in PARTS if (stack := subject.stack(part))]
    for stack in found:
        if finding := _stuck(stack):
            return finding
    return ok(f"{len(found)} are there, and can be updated" if found else "none yet")


def _stuck(stack: dict[str, Any]) -> Finding | None:
    """Return what is to be done with a stack, None where a deployment goes on from its state."""
    name, status = stack["StackName"], stack["StackStatus"]
    protected = stack.get("EnableTerminationProtection")
    action = _STUCK.get(status) or ("delete-stack" if status == "ROLLBACK_COMPLETE" and protected else None)
    if action:
        command = f"aws cloudformation {action} --stack-name {name}"
        if protected and action == "delete-stack":
            unprotect = (
                f"update-termination-protection --stack-name {name} --no-enable-termination-protection"
            )
            command = f"aws cloudformation {unprotect} && {command}"
        return failure(f"{name} is {status}: {stack.get('StackStatusReason') or 'no reason given'}", command)
    if status.endswith("_IN_PROGRESS"):
        return warning(f"{name} is {status}", "let the other deployment end first; CDK waits for it, too")
    return None


def gateway_role(subject: Subject) -> Finding:
    """Check API Gateway's role for logs, of which an account has one per region."""
    role: str | None = subject.account.call("apigateway", "get_account").get("cloudwatchRoleArn")
    if subject.stage.gateway_role == "theirs":
        settings = f"https://{subject.region}.console.aws.amazon.com/apigateway/main/settings"
        missing = failure("the account has none", f'{settings}, or gateway_role="ours" in infra/stages.py')
        return ok(role) if role else missing
    name = (role or "").rpartition("/")[2]
    if role and not name.startswith("Chatbot"):
        return warning(
            f"{role} would be replaced, for all APIs of this account and region",
            'gateway_role="theirs" in infra/stages.py keeps it',
        )
    return ok(f"{name}, of a deployment" if role else "none yet: the deployment makes one")


def ecs_role(subject: Subject) -> Finding:
    """Check that ECS's own role is there: a first cluster that has to make it often fails.

    Source: cloudformation-coverage-roadmap #818 and 1Password/scim-examples #356, read 2026-11-27.
    """
    try:
        subject.account.call("iam", "get_role", RoleName="AWSServiceRoleForECS")
    except Refused as error:
        if error.code != "NoSuchEntity":
            raise
        command = "aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com"
        return failure("missing: the account's first cluster often fails while ECS makes it", command)
    return ok("there")


def certificate(subject: Subject) -> Finding:
    """Check the certificate of the stage's own domain."""
    domain = subject.stage.domain
    assert domain is not None
    arn, where = domain.certificate_arn, domain.certificate_arn.split(":")[3]
    if where != subject.region:
        return failure(
            f"{arn} is in {where}; expected one in {subject.region}",
            f"aws acm request-certificate --domain-name {domain.name} --validation-method DNS",
        )
    try:
        found = subject.account.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    except Refused as error:
        if error.code != "ResourceNotFoundException":
            raise
        return failure(f"{arn} is not in this account", "aws acm list-certificates")
    names = [found["DomainName"], *found.get("SubjectAlternativeNames", [])]
    wildcard = "*." + domain.name.partition(".")[2]
    if domain.name not in names and wildcard not in names:
        return failure(f"it is for {', '.join(names)}; expected {domain.name}", "aws acm list-certificates")
    if found["Status"] != "ISSUED":
        shown = "shows the DNS record that proves the domain"
        remedy = f"aws acm describe-certificate --certificate-arn {arn} {shown}"
        return failure(f"{found['Status']}; expected ISSUED", remedy)
    return ok(f"ISSUED for {domain.name}")


def mail(subject: Subject) -> Finding:
    """Check that someone is written to when the bill or an alarm says so."""
    address = subject.stage.alarm_email
    if address:
        return ok(f"to {address}, which has to confirm it once")
    budget = f"the budget of ${subject.stage.budget} a month and " if subject.stage.budget else ""
    return warning(
        f"{budget}the alarms write to no one",
        "alarm_email in infra/stages.py",
    )


def engine_keys(subject: Subject) -> Finding:
    """Check the secrets with the keys of other servers."""
    arns = [hosted.key_secret for hosted in subject.stage.hosted if hosted.key_secret]
    for arn in arns:
        try:
            subject.account.call("secretsmanager", "describe_secret", SecretId=arn)
        except Refused as error:
            if error.code != "ResourceNotFoundException":
                raise
            make = "aws secretsmanager create-secret --name … --secret-string …, and its ARN as key_secret"
            return failure(f"{arn} is not in this account and region", make)
    return ok(f"{len(arns)} there")
