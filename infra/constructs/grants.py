"""What the functions may do, no more than their code calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager


def grant_secret_value(grantee: iam.IGrantable, secret: secretsmanager.ISecret) -> None:
    """Allow reading a secret's value."""
    _grant(grantee, ["secretsmanager:GetSecretValue"], secret.secret_arn)


def grant_items(
    grantee: iam.IGrantable, table: dynamodb.Table, keys: Sequence[str], actions: Sequence[str]
) -> None:
    """Allow actions, as in `("GetItem",)`, on a table's items with such partition keys, as in `("key#*",)`.

    A transaction needs one grant for all that it writes, for its items are all leading keys.

    A request that names no partition key, as a scan, has no leading keys; "all of none" would be true.
    Source: DynamoDB, "Using IAM policy conditions for fine-grained access control", read 2026-11-26.
    """
    leading = "dynamodb:LeadingKeys"
    conditions: Mapping[str, Mapping[str, Any]] = {
        "ForAllValues:StringLike": {leading: list(keys)},
        "Null": {leading: "false"},
    }
    _grant(grantee, [f"dynamodb:{action}" for action in actions], table.table_arn, conditions)


def grant_desired_count(grantee: iam.IGrantable, service_arn: str) -> None:
    """Allow reading and setting how many tasks an ECS service has."""
    _grant(grantee, ["ecs:DescribeServices", "ecs:UpdateService"], service_arn)


def _grant(
    grantee: iam.IGrantable,
    actions: list[str],
    resource: str,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    statement = iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions)
    grantee.grant_principal.add_to_principal_policy(statement)
