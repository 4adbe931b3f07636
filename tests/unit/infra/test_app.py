"""The CDK app's templates of a stage as a whole."""

import pytest

from infra.bundling.prisma_layer import engine_file

from .templates import Deployment


@pytest.mark.slow
def test_templates_without_the_native_engine_say_so(deployment: Deployment) -> None:
    metadata = (
        deployment.folder / f"Chatbot{deployment.stage.name.capitalize()}Api.metadata.json"
    ).read_text()
    missing = not engine_file(deployment.stage.architecture).exists()
    assert ("Prisma's native query engine is not on this machine" in metadata) is missing


@pytest.mark.parametrize(
    "kind", ["AWS::DynamoDB::Table", "AWS::ECS::Service", "AWS::RDS::DBCluster", "AWS::S3::Bucket"]
)
def test_what_costs_money_has_a_tag_with_its_stage(deployment: Deployment, kind: str) -> None:
    tag = {"Key": "chatbot:stage", "Value": deployment.stage.name}
    assert deployment.all(kind)
    assert all(tag in each.properties["Tags"] for each in deployment.all(kind))
