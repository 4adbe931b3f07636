"""The doctor's own calls, in a bootstrapped account without stacks of the stage."""

from pathlib import Path

import pytest

from infra.doctor import examine
from infra.stages import STAGES
from tests.deploy.account import ID, REGION, Account

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("deploy")]


def test_it_reads_a_real_account(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    report = examine(STAGES["serverless"], folder=tmp_path)
    if "timeout" in str(report):  # ministack loads a service at its first call, which takes longer than AWS
        report = examine(STAGES["serverless"], folder=tmp_path)
    answers = {finding.title: (finding.status, finding.answer) for finding in report.findings}
    assert (report.account, report.region) == (ID, REGION)
    assert answers["region"] == ("ok", REGION)
    assert answers["stacks"] == ("ok", "none yet")
    status, bootstrap = answers["CDK's bootstrap"]
    assert (status, bootstrap.split()[0]) == ("ok", "version")
    assert answers["Lambda"][0] == "ok"
    # The local account lacks Bedrock's models, and has none of Aurora's versions.
    assert answers["Bedrock"] == ("failure", f"{REGION} does not offer openai.gpt-oss-20b-1:0")
    assert answers["Aurora"][0] == "failure"
    assert not list(tmp_path.iterdir())
