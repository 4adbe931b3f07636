"""Every synthesis is checked, and each finding is acknowledged."""

import json

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_sns as sns

from infra.nag import acknowledge, check

from .templates import Deployment


def test_no_finding_is_left(deployment: Deployment) -> None:
    assert deployment.findings == ""
    report = json.loads((deployment.folder / "validation-report.json").read_text())
    violations = [
        (violation["ruleName"], where["constructPath"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for where in violation["violatingConstructs"]
    ]
    assert violations == []


@pytest.mark.slow
def test_a_finding_fails_the_synthesis() -> None:
    app = App()
    sns.Topic(Stack(app, "Stack"), "Topic")
    check(app)
    with pytest.raises(RuntimeError, match="AwsSolutions-SNS3"):
        app.synth()


def test_an_acknowledged_finding_passes() -> None:
    app = App()
    topic = sns.Topic(Stack(app, "Stack"), "Topic")
    check(app)
    acknowledge(topic, {"SNS3": "It is never published to."})
    app.synth()


def test_an_acknowledgment_is_for_one_finding_only() -> None:
    app = App()
    topic = sns.Topic(Stack(app, "Stack"), "Topic")
    check(app)
    acknowledge(topic, {"SNS2": "Another finding."})
    with pytest.raises(RuntimeError, match="AwsSolutions-SNS3"):
        app.synth()
