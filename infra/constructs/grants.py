"""What the functions may do, no more than their code calls."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager


def grant_secret_value(grantee: iam.IGrantable, secret: secretsmanager.ISecret) -> None:
    """Allow reading a secret's value."""
    _grant(grantee, ["secretsmanager:GetSecretValue"], secret.secret_arn)


def grant_items(grantee: iam.IGrantable, table: dynamodb.Table, actions: Sequence[str]) -> None:
    """Allow actions on a table's items, as in `("GetItem",)`."""
    _grant(grantee, [f"dynamodb:{action}" for action in actions], table.table_arn)


def grant_desired_count(grantee: iam.IGrantable, service_arn: str) -> None:
    """Allow reading and setting how many tasks an ECS service has."""
    _grant(grantee, ["ecs:DescribeServices", "ecs:UpdateService"], service_arn)


def _grant(grantee: iam.IGrantable, actions: list[str], resource: str) -> None:
    statement = iam.PolicyStatement(actions=actions, resources=[resource])
    grantee.grant_principal.add_to_principal_policy(statement)
