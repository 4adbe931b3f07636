"""The CDK app's templates of a stage as a whole."""

import re

import pytest

from .templates import Deployment


@pytest.mark.parametrize(
    "kind", ["AWS::DynamoDB::Table", "AWS::ECS::Service", "AWS::RDS::DBCluster", "AWS::S3::Bucket"]
)
def test_what_costs_money_has_a_tag_with_its_stage(with_engine: Deployment, kind: str) -> None:
    tag = {"Key": "chatbot:stage", "Value": with_engine.stage.name}
    assert with_engine.all(kind)
    assert all(tag in each.properties["Tags"] for each in with_engine.all(kind))


def test_templates_without_the_doctor_s_file_say_that_their_zones_are_not_chosen(dev: Deployment) -> None:
    metadata = (dev.folder / "ChatbotDevNetwork.metadata.json").read_text()
    assert "the network has the region's first zones" in metadata
    assert "make doctor STAGE=dev" in metadata


def test_a_stage_without_an_engine_has_four_stacks(serverless: Deployment) -> None:
    assert set(serverless.templates) == {"Network", "Data", "Api", "Watch"}
    resources = [each for each in serverless.templates.values() for each in each["Resources"]]
    assert len(resources) < 90, "docs/deploy.md says how many"


# What has a name that AWS does not make up, and why it is free in each region and stage of an account.
NAMES = {
    "AWS::ApiGateway::RestApi Name": "APIs may have the same",
    "AWS::ApiGateway::Stage StageName": "of one API",
    "AWS::ApplicationAutoScaling::ScalingPolicy PolicyName": "of one service",
    "AWS::CloudWatch::Alarm MetricName": "AWS's own",
    "AWS::CodeDeploy::DeploymentGroup DeploymentConfigName": "AWS's own",
    "AWS::ECS::TaskDefinition Family": "has the stack's name; another region has its own",
    "AWS::IAM::Policy PolicyName": "of one role",
    "AWS::Lambda::Alias Name": "of one function",
    "AWS::Lambda::Function FunctionName": "has the stack's name; another region has its own",
    "AWS::RDS::DBCluster DatabaseName": "of one cluster",
    "AWS::RDS::DBClusterParameterGroup Family": "AWS's own",
    "AWS::ServiceDiscovery::PrivateDnsNamespace Name": "of one network",
    "AWS::ServiceDiscovery::Service Name": "of one namespace",
}
_NAMED = re.compile(r"(Name|Identifier|Family)$")


def test_no_fixed_name_keeps_two_stages_or_regions_from_one_account(deployment: Deployment) -> None:
    found = {
        f"{resource['Type']} {name}": value
        for template in deployment.templates.values()
        for resource in template["Resources"].values()
        for name, value in resource.get("Properties", {}).items()
        if _NAMED.search(name) and isinstance(value, str)
    }
    assert {what: value for what, value in found.items() if what not in NAMES} == {}


def test_an_engine_that_scales_to_zero_can_become_one_that_always_runs(dev: Deployment) -> None:
    """An export that another stack reads can be neither changed nor removed: the scaler has none."""
    exported = str(dev.templates["Engine"].get("Outputs", {}))
    assert "Scaler" not in exported
    called = [str(each.properties) for each in dev.all("AWS::IAM::Policy", "Api")]
    assert any("function:ChatbotDevEngine-Scaler" in each for each in called)
    assert "ChatbotDevEngine" in dev.manifest["artifacts"]["ChatbotDevApi"]["dependencies"]
