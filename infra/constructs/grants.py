"""What the functions may do, no more than their code calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
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


def grant_invoke(grantee: iam.IGrantable, function_arn: str) -> None:
    """Allow invoking a function."""
    _grant(grantee, ["lambda:InvokeFunction"], function_arn)


def grant_function_url(grantee: iam.IGrantable, alias: lambda_.Alias) -> None:
    """Allow requests to the Function URL of an alias, signed by the grantee, and no other invocation of it.

    Source: AWS Lambda, "Control access to Lambda function URLs": both actions, since October 2025.
    """
    arn = alias.function_arn
    _grant(
        grantee,
        ["lambda:InvokeFunctionUrl"],
        arn,
        {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
    )
    _grant(grantee, ["lambda:InvokeFunction"], arn, {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}})


def grant_bedrock(grantee: iam.IGrantable, models: Sequence[str]) -> None:
    """Allow requests to these models of Bedrock, by their ids, in the function's region.

    Which of the two actions a stream needs is not documented; the token's own action knows no resources.
    Source: Amazon Bedrock, "Chat Completions API" and "Generate Amazon Bedrock API keys", read 2026-11-26.
    """
    prefix = f"arn:{Aws.PARTITION}:bedrock:{Aws.REGION}::foundation-model"
    invoke = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    for model in models:
        _grant(grantee, invoke, f"{prefix}/{model}")
    _grant(grantee, ["bedrock:CallWithBearerToken"], "*")


def _grant(
    grantee: iam.IGrantable,
    actions: list[str],
    resource: str,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    statement = iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions)
    grantee.grant_principal.add_to_principal_policy(statement)
