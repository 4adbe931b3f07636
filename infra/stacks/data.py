"""What is kept: keys, limits and usage in DynamoDB, todos in Aurora, and the secrets.

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
    "RDS6": "Prisma signs in with a password, and only the todo and the migrating function may read it.",
}
# Only of a stage that does not keep its data: of others these are findings.
_REASONS_TO_LOSE = {
    "RDS10": "This stage does not keep its data, so that one command destroys it.",
    "DDB3": "This stage does not keep its data, and has nothing to go back to.",
}


class DataStack(Stack):
    """The table, the database, the secret of each and the engine's key."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, network: NetworkStack) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Chatbot API, {stage.name}: keys, usage, todos and secrets",
            termination_protection=stage.keeps_data,
        )
        self.table = _table(self, stage)
        self.database = _database(self, stage, network)
        self.database_secret = _secret_of(self.database)
        self.engine_key = secretsmanager.Secret(
            self,
            "EngineKey",
            description=f"What the chat function shows to the engine ({stage.name})",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=48, exclude_punctuation=True
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(self, _REASONS if stage.keeps_data else _REASONS | _REASONS_TO_LOSE)
        CfnOutput(self, "KeysTable", value=self.table.table_name, description="Keys, limits and usage")


def _table(scope: Construct, stage: Stage) -> dynamodb.Table:
    return dynamodb.Table(
        scope,
        "Table",
        partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=stage.keeps_data
        ),
        deletion_protection=stage.keeps_data,
        removal_policy=RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY,
    )


def _parameters(stage: Stage) -> dict[str, str]:
    """Ask for TLS; where the database pauses, end idle connections, which keep it awake."""
    idle = {"idle_session_timeout": str(_IDLE_MS)} if stage.database.pauses else {}
    return {"rds.force_ssl": "1", **idle}


def _database(scope: Construct, stage: Stage, network: NetworkStack) -> rds.DatabaseCluster:
    least, most = stage.database.capacity
    engine = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_18_4)
    return rds.DatabaseCluster(
        scope,
        "Database",
        engine=engine,
        credentials=rds.Credentials.from_generated_secret("todos"),
        default_database_name=DATABASE_NAME,
        port=DATABASE_PORT,
        parameters=_parameters(stage),
        serverless_v2_min_capacity=least,
        serverless_v2_max_capacity=most,
        serverless_v2_auto_pause_duration=(
            Duration.minutes(stage.database.pause_minutes) if stage.database.pauses else None
        ),
        writer=_instance("Writer"),
        readers=[_instance(f"Reader{number + 1}") for number in range(stage.database.readers)],
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_groups=[network.database],
        storage_encrypted=True,
        backup=rds.BackupProps(retention=Duration.days(stage.database.backup_days)),
        copy_tags_to_snapshot=True,
        deletion_protection=stage.database.protected,
        removal_policy=RemovalPolicy.SNAPSHOT if stage.keeps_data else RemovalPolicy.DESTROY,
    )


def _instance(construct_id: str) -> rds.IClusterInstance:
    """Return one instance; a reader that did not grow with the writer could not take over from it."""
    return rds.ClusterInstance.serverless_v2(
        construct_id,
        publicly_accessible=False,
        auto_minor_version_upgrade=True,
        scale_with_writer=None if construct_id == "Writer" else True,
    )


def _secret_of(database: rds.DatabaseCluster) -> secretsmanager.ISecret:
    secret = database.secret
    assert secret is not None  # credentials are generated
    return secret
