"""The function that starts and stops an engine that scales to zero; functions/scaler has its rules."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import environments
from infra.constructs.function_role import function_role
from infra.constructs.grants import grant_items
from infra.constructs.log_groups import log_group
from infra.constructs.streaming_function import ARCHITECTURES, PYTHON
from infra.inference.capacity import group_arn, group_reasons
from infra.nag import acknowledge
from infra.stages import Engine, Stage

_MEMORY_MB = 512
# Shorter than STOP_S of functions/scaler/scaler.py.
_TIMEOUT = Duration.seconds(45)
# Lambda repeats an event that failed after 1 minute and after 2 more; the function ignores old lines itself.
_LATEST = Duration.minutes(5)


class ScalerFunction(Construct):
    """The function, what it may do, and what calls it: a log's lines, stopped tasks, machines that join."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        engine: Engine,
        code: lambda_.Code,
        table: dynamodb.Table,
        cluster: ecs.Cluster,
        service: ecs.BaseService,
        group: autoscaling.AutoScalingGroup,
        lines: logs.LogGroup,
        name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        log = log_group(self, "Log", stage=stage)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"Chatbot API, {stage.name}: starts and stops the engine",
            runtime=PYTHON,
            architecture=ARCHITECTURES[stage.architecture],
            code=code,
            handler="functions.scaler.handler.handler",
            environment=environments.scaler_environment(
                engine,
                cluster=cluster.cluster_name,
                service=service.service_name,
                group=group.auto_scaling_group_name,
                table=table.table_name,
            ),
            memory_size=_MEMORY_MB,
            timeout=_TIMEOUT,
            max_event_age=_LATEST,
            role=function_role(self, "Role", log=log, in_network=False),
            log_group=log,
        )
        acknowledge(self.function, {"L1": "The functions are tested on Python 3.13."})
        self._grant(engine, table, cluster, service, group)
        cluster_id = Stack.of(self).resolve(cluster.cluster_name)["Ref"]
        tasks = f"arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:task/<{cluster_id}>/*"
        reasons = {f"IAM5[Resource::{tasks}]": "Tasks of the one service are in this cluster, and no others."}
        acknowledge(self, reasons | group_reasons(group))
        self._subscribe(lines, 60 * engine.idle_minutes, cluster)

    def _grant(
        self,
        engine: Engine,
        table: dynamodb.Table,
        cluster: ecs.Cluster,
        service: ecs.BaseService,
        group: autoscaling.AutoScalingGroup,
    ) -> None:
        stack = Stack.of(self)
        service_arn = stack.format_arn(
            service="ecs", resource="service", resource_name=f"{cluster.cluster_name}/{service.service_name}"
        )
        tasks = stack.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
        grant_items(self.function, table, (f"engine#{engine.model.id}",), ("GetItem", "UpdateItem"))
        own = {"ArnEquals": {"ecs:cluster": cluster.cluster_arn}}
        found = ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"]
        for statement in (
            iam.PolicyStatement(
                actions=["ecs:DescribeServices", "ecs:UpdateService"], resources=[service_arn]
            ),
            iam.PolicyStatement(actions=["ecs:ListTasks"], resources=["*"], conditions=own),
            iam.PolicyStatement(actions=["ecs:DescribeTasks"], resources=[tasks], conditions=own),
            iam.PolicyStatement(
                actions=["autoscaling:SetDesiredCapacity"], resources=[group_arn(stack, group)]
            ),
            iam.PolicyStatement(actions=found, resources=["*"]),
        ):
            self.function.add_to_role_policy(statement)

    def _subscribe(self, lines: logs.LogGroup, idle_s: int, cluster: ecs.Cluster) -> None:
        """Have it called by lines that say that the engine is idle, tasks that stop, machines that join."""
        allowed = lambda_.CfnPermission(
            self,
            "FromLog",
            action="lambda:InvokeFunction",
            function_name=self.function.function_arn,
            principal="logs.amazonaws.com",
            source_account=Stack.of(self).account,
            source_arn=lines.log_group_arn,
        )
        subscription = logs.CfnSubscriptionFilter(
            self,
            "Idle",
            log_group_name=lines.log_group_name,
            filter_pattern=f"{{ $.idle_s >= {idle_s} }}",
            destination_arn=self.function.function_arn,
        )
        subscription.node.add_dependency(allowed)
        # What sets the service to 0 does not know the group: a deployment that changes the task, an operator.
        # And a machine that joins does not have the service's task placed at once.
        for name, text, kind, detail in (
            ("Stopped", "A task of the engine has stopped", "Task", {"lastStatus": ["STOPPED"]}),
            (
                *("Joined", "A machine of the engine has joined", "Container Instance"),
                {"agentConnected": [True], "status": ["ACTIVE"]},
            ),
        ):
            rule = events.Rule(
                self,
                name,
                description=text,
                event_pattern=events.EventPattern(
                    source=["aws.ecs"],
                    detail_type=[f"ECS {kind} State Change"],
                    detail={"clusterArn": [cluster.cluster_arn], **detail},
                ),
            )
            rule.add_target(targets.LambdaFunction(self.function, max_event_age=_LATEST, retry_attempts=2))
