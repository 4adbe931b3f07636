"""What the functions may do, no wider than their code asks."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager


def grant_value(grantee: iam.IGrantable, secret: secretsmanager.ISecret) -> None:
    """Let someone read a secret's value."""
    _grant(grantee, ["secretsmanager:GetSecretValue"], secret.secret_arn)


def grant_items(grantee: iam.IGrantable, table: dynamodb.Table, actions: Sequence[str]) -> None:
    """Let someone do things to a table's items, as in `("GetItem",)`."""
    _grant(grantee, [f"dynamodb:{action}" for action in actions], table.table_arn)


def grant_wake(grantee: iam.IGrantable, service_arn: str) -> None:
    """Let someone see an ECS service and ask for its tasks."""
    _grant(grantee, ["ecs:DescribeServices", "ecs:UpdateService"], service_arn)


def _grant(grantee: iam.IGrantable, actions: list[str], resource: str) -> None:
    statement = iam.PolicyStatement(actions=actions, resources=[resource])
    grantee.grant_principal.add_to_principal_policy(statement)
