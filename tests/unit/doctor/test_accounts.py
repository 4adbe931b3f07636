"""Whole reports: of a new account, of one that is ready, and of one that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.doctor import Report, examine
from infra.doctor import __main__ as command
from infra.stages import STAGES

from .answers import AccountSession, account
from .machines import GivenMachine

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "deploy.md"


def report(stage: str, session: AccountSession, folder: Path) -> Report:
    return examine(STAGES[stage], session, machine=GivenMachine(), folder=folder)


def problems(report: Report) -> dict[str, str]:
    """Return the status of each check that is not ok."""
    return {each.title: each.status for each in report.findings if each.status != "ok"}


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (
            "serverless",
            {"CDK's bootstrap": "failure", "Lambda": "warning", "Bedrock": "failure", "mail": "warning"},
        ),
        (
            "dev",
            {
                **{"CDK's bootstrap": "failure", "GPU quota": "failure", "CodeBuild": "failure"},
                **{"ECS's role": "failure", "Lambda": "warning", "Bedrock": "warning", "mail": "warning"},
            },
        ),
        (
            "prod",
            {
                **{"CDK's bootstrap": "failure", "GPU quota": "failure", "CodeBuild": "failure"},
                **{"ECS's role": "failure", "Lambda": "failure", "mail": "warning"},
            },
        ),
    ],
)
def test_a_new_account_lacks(stage: str, expected: dict[str, str], tmp_path: Path) -> None:
    found = report(stage, account("new"), tmp_path)
    assert problems(found) == expected
    assert found.failed
    assert all(finding.remedy for finding in found.findings if finding.status != "ok")


@pytest.mark.parametrize("stage", STAGES)
def test_an_account_that_is_ready(stage: str, tmp_path: Path) -> None:
    found = report(stage, account("good"), tmp_path)
    assert problems(found) == {"mail": "warning"}
    assert (found.failed, found.region, found.account) == (False, "us-east-1", "111122223333")
    assert str(found).splitlines()[-1] == "Ready to deploy: 0 failures, 1 warning."


def test_nothing_is_changed_in_the_account(tmp_path: Path) -> None:
    session = account("new")
    for stage in STAGES:
        report(stage, session, tmp_path)
    reading = ("Get", "Describe", "List")
    assert len(session.calls) > 15
    assert not [call for call in session.calls if not call.partition(" ")[2].startswith(reading)]


def test_a_check_that_is_not_permitted_names_the_permission(tmp_path: Path) -> None:
    found = report("dev", account("good", denied=True), tmp_path)
    denied = {each.title: each.remedy for each in found.findings if "lack" in each.answer}
    assert not found.failed
    assert len(denied) == 12
    assert denied["GPU quota"] == "allow ec2:DescribeInstanceTypes, or look it up yourself"
    assert denied["CodeBuild"] == "allow servicequotas:GetServiceQuota, or look it up yourself"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "elsewhere", "answer"),
    [
        ("NoCredentials", "NoCredentials", "Unable to locate credentials"),
        ("ExpiredToken", "ExpiredToken", "the credentials have expired"),
        ("InvalidClientTokenId", "InvalidClientTokenId", "AWS does not accept the credentials"),
        ("InvalidClientTokenId", None, "the account has not enabled af-south-1"),
    ],
)
def test_without_an_account_only_this_machine_is_checked(
    code: str, elsewhere: str | None, answer: str, tmp_path: Path
) -> None:
    def refusal(code: str) -> dict[str, str]:
        return {"Code": code} if code == "NoCredentials" else {"Code": code, "Message": "…"}

    here = {"call": "sts GetCallerIdentity", "with": {"region": "af-south-1"}, "error": refusal(code)}
    home = [{"call": "sts GetCallerIdentity", "error": refusal(elsewhere)}] if elsewhere else []
    session = account("good", here, *home, region="af-south-1")
    found = report("dev", session, tmp_path)
    credentials, *others = found.findings
    assert credentials.status == "failure"
    assert answer in credentials.answer
    assert session.calls == {"sts GetCallerIdentity"}
    assert {each.title for each in others} >= {"Node.js", "Python 3.13", "engine's image"}
    assert found.account is None
    assert "12 more checks need the account." in str(found)


def test_an_unreachable_region_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import EndpointConnectionError

    session = account("good", region="us-esat-1")

    def answer(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sts.us-esat-1.amazonaws.com/")

    monkeypatch.setattr(session, "answer", answer)
    credentials = report("dev", session, tmp_path).findings[0]
    assert credentials.status == "failure"
    assert "is us-esat-1 a region" in credentials.remedy


def test_no_region_is_one_line(tmp_path: Path) -> None:
    found = report("dev", account("good", region=None), tmp_path)
    assert [(each.title, each.answer) for each in found.findings] == [("region", "none")]


def test_the_command_fails_where_a_check_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", "production")
    assert command.main() == 1
    assert "Expected one of the stages serverless, dev, prod" in capsys.readouterr().err
    monkeypatch.setenv("STAGE", "serverless")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert command.main() == 1
    assert "AWS_REGION=us-east-1" in capsys.readouterr().out


def test_the_document_shows_what_is_printed(tmp_path: Path) -> None:
    _, _, rest = DOCUMENT.read_text().partition("$ make doctor STAGE=dev\n")
    shown = [line for line in rest.partition("```")[0].splitlines() if line != "…"]
    printed = str(report("dev", account("new"), tmp_path)).splitlines()
    assert shown
    assert [line for line in shown if line not in printed] == []
