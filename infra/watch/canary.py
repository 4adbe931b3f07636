"""Canary deployments: a new version of a function gets a tenth of the requests first."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.nag import acknowledge
from infra.stages import Stage
from infra.watch.alarms import of_new_version
from infra.watch.metrics import MINUTE

_POLICY = "service-role/AWSCodeDeployRoleForLambdaLimited"
_REASONS = {
    f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]": (
        "CodeDeploy's documentation names this policy for deployments of functions."
    ),
}
# Crashes and timeouts of the new version, in one minute; a version without faults has none.
_FAILURES = 0


def add_canaries(scope: Construct, *, stage: Stage, chat: lambda_.Alias, todos: lambda_.Alias) -> None:
    """Deploy both functions so; a version of chat's is rolled back as well if completions break."""
    breaks = of_new_version(stage).add_to(scope)
    application = codedeploy.LambdaApplication(scope, "Deployments")
    Canary(scope, "ChatCanary", application=application, live=chat, alarms=[breaks])
    Canary(scope, "TodosCanary", application=application, live=todos)


class Canary(Construct):
    """Moves a function's alias in two steps, five minutes apart, and back if an alarm goes off meanwhile.

    A stream goes on under the version that it began with.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        application: codedeploy.LambdaApplication,
        live: lambda_.Alias,
        alarms: Sequence[cloudwatch.IAlarm] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        fails = cloudwatch.Alarm(
            self,
            "Fails",
            alarm_description="The function fails while a new version of it is being deployed.",
            metric=live.metric_errors(statistic="Sum", period=MINUTE),
            threshold=_FAILURES,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("codedeploy.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_POLICY)],
        )
        codedeploy.LambdaDeploymentGroup(
            self,
            "Deployments",
            application=application,
            alias=live,
            role=role,
            deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            alarms=[fails, *alarms],
        )
        acknowledge(self, _REASONS)
