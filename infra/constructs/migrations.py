"""The function that migrates the database, run by each deployment that changes it."""

from __future__ import annotations

from aws_cdk import Aws, Duration, triggers
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.function_role import function_role
from infra.constructs.grants import grant_secret_value
from infra.constructs.log_groups import log_group
from infra.constructs.streaming_function import ARCHITECTURES, Place
from infra.stages import Stage

_TIMEOUT = Duration.minutes(5)


class Migrations(Construct):
    """The migrating function and its trigger, which succeeds before `before` is made or changed.

    Shape:  it signs in as the user of `database_secret`, and makes that of `user_secret`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        place: Place,
        code: lambda_.Code,
        database_secret: secretsmanager.ISecret,
        user_secret: secretsmanager.ISecret,
        before: Construct,
    ) -> None:
        super().__init__(scope, construct_id)
        log = log_group(self, "Log", stage=stage, is_data=True)
        role = function_role(self, "Role", log=log)
        grant_secret_value(role, database_secret)
        grant_secret_value(role, user_secret)
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Chatbot API, {stage.name}: migrates the todos' database",
            runtime=lambda_.Runtime.NODEJS_24_X,
            architecture=ARCHITECTURES[stage.architecture],
            code=code,
            handler="index.handler",
            environment={
                "DATABASE_SECRET": database_secret.secret_arn,
                "USER_SECRET": user_secret.secret_arn,
                "DATABASE_CA": f"/var/task/rds-ca/{Aws.REGION}.pem",
            },
            memory_size=512,
            timeout=_TIMEOUT,
            role=role,
            log_group=log,
            vpc=place.vpc,
            vpc_subnets=place.subnets,
            security_groups=[place.security_group],
            ipv6_allowed_for_dual_stack=place.ipv6,
        )
        self.trigger = triggers.Trigger(
            self, "Trigger", handler=self.function, timeout=_TIMEOUT, execute_before=[before]
        )
