"""The data: keys, limits and usage in DynamoDB, todos in Aurora, and the secrets.

Its construct ids are never changed: another id is another, empty, table.
"""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.nag import acknowledge
from infra.stacks.network import DATABASE_PORT, NetworkStack
from infra.stages import Stage

DATABASE_NAME = "todos"
_IDLE_MS = 60_000
_REASONS = {
    "SMG4": "Rotation needs a function from the Serverless Application Repository, which the account's owner "
    "may choose; the database's secret is attached to the database, ready for it.",
    "RDS6": "Prisma signs in with a password; the migrating function may read the master's, the todo "
    "function that of a user who can only read and change rows.",
}
# Only for a stage that does not keep its data: for others these are findings.
_REASONS_WITHOUT_BACKUP = {
    "RDS10": "This stage does not keep its data, so that one command destroys it.",
    "DDB3": "This stage does not keep its data, and has nothing to go back to.",
}


class DataStack(Stack):
    """The table, the database, the secrets of its master and of the todo function, and the engine's key.

    Shape:  `aurora`: a version of Aurora PostgreSQL, as in "17.6"; None: the newest that CDK knows.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: NetworkStack,
        aurora: str | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Chatbot API, {stage.name}: keys, usage, todos and secrets",
            termination_protection=stage.keeps_data,
        )
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            # Usage records have it; keys and counts do not.
            time_to_live_attribute="ttl",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=stage.keeps_data
            ),
            deletion_protection=stage.keeps_data,
            removal_policy=RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY,
        )
        self.database = _database(self, stage, network, aurora)
        assert self.database.secret is not None  # credentials are generated
        self.database_secret = self.database.secret
        # The todo function's own: the migrating function makes the user, and RDS adds the address.
        self.todos_secret = rds.DatabaseSecret(self, "TodosUser", username="todos_function").attach(
            self.database
        )
        self.engine_key = self._engine_key(stage) if stage.engine else None
        acknowledge(self, _REASONS if stage.keeps_data else _REASONS | _REASONS_WITHOUT_BACKUP)
        CfnOutput(self, "KeysTable", value=self.table.table_name, description="Keys, limits and usage")
        CfnOutput(
            self,
            "Models",
            value=",".join(model.id for model in stage.listed_models),
            description="What keys may be limited to",
        )
        days = str(stage.keep_records_days)
        CfnOutput(self, "KeepRecordsDays", value=days, description="How long usage records are kept")

    def _engine_key(self, stage: Stage) -> secretsmanager.Secret:
        return secretsmanager.Secret(
            self,
            "EngineKey",
            description=f"The key that the chat function sends to the engine ({stage.name})",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=48, exclude_punctuation=True
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )


def _database(
    scope: Construct, stage: Stage, network: NetworkStack, aurora: str | None
) -> rds.DatabaseCluster:
    database, (least, most) = stage.database, stage.database.capacity
    version = (
        rds.AuroraPostgresEngineVersion.of(aurora, aurora.partition(".")[0])
        if aurora
        else rds.AuroraPostgresEngineVersion.VER_18_4
    )
    # An idle connection would keep the database from pausing.
    idle = {"idle_session_timeout": str(_IDLE_MS)} if database.pauses else {}
    return rds.DatabaseCluster(
        scope,
        "Database",
        engine=rds.DatabaseClusterEngine.aurora_postgres(version=version),
        credentials=rds.Credentials.from_generated_secret("todos"),
        default_database_name=DATABASE_NAME,
        port=DATABASE_PORT,
        parameters={"rds.force_ssl": "1", **idle},
        serverless_v2_min_capacity=least,
        serverless_v2_max_capacity=most,
        serverless_v2_auto_pause_duration=(
            Duration.minutes(database.pause_minutes) if database.pauses else None
        ),
        writer=_instance("Writer"),
        readers=[_instance(f"Reader{number + 1}") for number in range(database.readers)],
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_groups=[network.database_group],
        storage_encrypted=True,
        backup=rds.BackupProps(retention=Duration.days(database.backup_days)),
        copy_tags_to_snapshot=True,
        deletion_protection=database.protected,
        removal_policy=RemovalPolicy.SNAPSHOT if stage.keeps_data else RemovalPolicy.DESTROY,
    )


def _instance(construct_id: str) -> rds.IClusterInstance:
    """Return one instance; a reader that did not scale with the writer could not take over from it."""
    return rds.ClusterInstance.serverless_v2(
        construct_id,
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        scale_with_writer=None if construct_id == "Writer" else True,
    )
