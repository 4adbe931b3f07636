"""The data, and what is kept of it when a stage is destroyed."""

import json
import string
from collections.abc import Mapping

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from functions.shared import items
from infra.stacks.data import DataStack
from infra.stacks.network import NetworkStack
from infra.stages import DEV

from .templates import Deployment, Json

TABLE, CLUSTER, INSTANCE = "AWS::DynamoDB::Table", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
SECRET = "AWS::SecretsManager::Secret"


def test_the_table_is_the_one_that_the_functions_expect(deployment: Deployment) -> None:
    table = deployment.one(TABLE, "Data").properties
    assert {name: table[name] for name in items.SCHEMA} == items.SCHEMA
    assert not table.get("GlobalSecondaryIndexes")


def test_usage_records_expire(deployment: Deployment) -> None:
    table = deployment.one(TABLE, "Data").properties
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_the_table_s_output_has_the_name_that_the_command_line_reads(deployment: Deployment) -> None:
    table = deployment.one(TABLE, "Data")
    assert deployment.outputs("Data")["KeysTable"]["Value"] == {"Ref": table.id}
    assert deployment.outputs("Data")["Models"]["Value"] == ",".join(
        model.id for model in deployment.stage.listed_models
    )
    days = deployment.outputs("Data")["KeepRecordsDays"]["Value"]
    assert days == str(deployment.stage.keep_records_days)


@pytest.mark.parametrize(("stage", "policy", "kept"), [("dev", "Delete", False), ("prod", "Retain", True)])
def test_keys_and_usage_are_kept_where_the_stage_keeps_data(
    deployments: Mapping[str, Deployment], stage: str, policy: str, kept: bool
) -> None:
    table = deployments[stage].one(TABLE, "Data")
    assert table.policies == (policy, policy)
    assert table.properties["DeletionProtectionEnabled"] is kept
    recovery = table.properties["PointInTimeRecoverySpecification"]
    assert recovery["PointInTimeRecoveryEnabled"] is kept
    stack = deployments[stage].manifest["artifacts"][f"Chatbot{stage.capitalize()}Data"]
    assert stack["properties"].get("terminationProtection", False) is kept


@pytest.mark.parametrize(
    ("stage", "policy", "expected"),
    [
        ("dev", "Delete", {"DeletionProtection": False, "BackupRetentionPeriod": 1}),
        ("prod", "Snapshot", {"DeletionProtection": True, "BackupRetentionPeriod": 14}),
    ],
)
def test_todos_are_kept_where_the_stage_keeps_data(
    deployments: Mapping[str, Deployment], stage: str, policy: str, expected: Json
) -> None:
    cluster = deployments[stage].one(CLUSTER, "Data")
    assert cluster.policies == (policy, policy)
    assert {name: cluster.properties[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("stage", "capacity", "instances"),
    [
        ("serverless", {"MinCapacity": 0, "MaxCapacity": 2, "SecondsUntilAutoPause": 300}, 1),
        ("dev", {"MinCapacity": 0, "MaxCapacity": 2, "SecondsUntilAutoPause": 300}, 1),
        ("prod", {"MinCapacity": 0.5, "MaxCapacity": 16}, 2),
    ],
)
def test_the_database_pauses_in_dev_and_has_a_second_instance_in_prod(
    deployments: Mapping[str, Deployment], stage: str, capacity: Json, instances: int
) -> None:
    cluster = deployments[stage].one(CLUSTER, "Data").properties
    assert cluster["ServerlessV2ScalingConfiguration"] == capacity
    assert len(deployments[stage].all(INSTANCE)) == instances
    tiers = [each.properties["PromotionTier"] for each in deployments[stage].all(INSTANCE)]
    assert all(tier <= 1 for tier in tiers), "beyond tier 1 a reader does not grow with the writer"


def test_the_database_is_encrypted_private_and_requires_tls(deployment: Deployment) -> None:
    cluster = deployment.one(CLUSTER, "Data").properties
    assert cluster["StorageEncrypted"] is True
    assert cluster["Port"] == 5432
    assert [_exported(group) for group in cluster["VpcSecurityGroupIds"]] == ["Database"]
    parameters = deployment.one("AWS::RDS::DBClusterParameterGroup", "Data").properties["Parameters"]
    assert parameters["rds.force_ssl"] == "1"
    pauses = deployment.stage.database.capacity[0] == 0
    assert parameters.get("idle_session_timeout") == ("60000" if pauses else None)
    for instance in deployment.all(INSTANCE):
        assert instance.properties["PubliclyAccessible"] is False
    subnets = deployment.one("AWS::RDS::DBSubnetGroup", "Data").properties["SubnetIds"]
    assert len(subnets) == deployment.stage.zones
    assert all("PrivateSubnet" in subnet["Fn::ImportValue"] for subnet in subnets)


def test_no_password_is_in_a_template(deployment: Deployment) -> None:
    cluster = deployment.one(CLUSTER, "Data").properties
    assert "{{resolve:secretsmanager:" in str(cluster["MasterUserPassword"])
    for secret in deployment.all(SECRET):
        assert "SecretString" not in secret.properties
        assert secret.properties["GenerateSecretString"]["PasswordLength"] >= 30


def test_the_engine_s_key_fits_into_a_header_and_a_variable(with_engine: Deployment) -> None:
    (secret,) = [each for each in with_engine.all(SECRET, "Data") if each.id.startswith("EngineKey")]
    generated = secret.properties["GenerateSecretString"]
    assert generated == {"ExcludePunctuation": True, "PasswordLength": 48}


def test_the_database_s_password_needs_no_quoting_where_it_matters(deployment: Deployment) -> None:
    secrets = [each for each in deployment.all(SECRET, "Data") if not each.id.startswith("EngineKey")]
    assert len(secrets) == 2
    for secret in secrets:
        generated = secret.properties["GenerateSecretString"]
        assert set(string.punctuation) - set(generated["ExcludeCharacters"]) == set(",-.=^_")


def test_the_todo_function_s_user_has_a_secret_of_its_own_with_the_database_s_address(
    deployment: Deployment,
) -> None:
    (secret,) = [each for each in deployment.all(SECRET, "Data") if each.id.startswith("TodosUser")]
    (cluster,) = deployment.all(CLUSTER, "Data")
    generated = secret.properties["GenerateSecretString"]
    assert json.loads(generated["SecretStringTemplate"]) == {"username": "todos_function"}
    assert generated["GenerateStringKey"] == "password"
    attached = deployment.all("AWS::SecretsManager::SecretTargetAttachment", "Data")
    assert {
        "SecretId": {"Ref": secret.id},
        "TargetId": {"Ref": cluster.id},
        "TargetType": "AWS::RDS::DBCluster",
    } in [each.properties for each in attached]
    assert "todos_function" not in str(cluster.properties["MasterUsername"])


def _exported(reference: Json) -> str:
    """Return the construct id of a group that another stack has exported."""
    name = str(reference["Fn::ImportValue"])
    return name.partition("ExportsOutputFnGetAtt")[2].partition("GroupId")[0][:-8]


def test_aurora_s_version_is_the_one_that_is_named() -> None:
    app = App()
    data = DataStack(app, "Data", stage=DEV, network=NetworkStack(app, "Network", stage=DEV), aurora="17.6")
    template = Template.from_stack(data)
    template.has_resource_properties(CLUSTER, {"EngineVersion": "17.6"})
    template.has_resource_properties("AWS::RDS::DBClusterParameterGroup", {"Family": "aurora-postgresql17"})
