"""The dashboard and the alarms."""

from __future__ import annotations

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.engine import EngineStack
from infra.stages import Stage
from infra.watch import alarms, rows
from infra.watch.budget import add_budget
from infra.watch.spending import spending
from infra.watch.topic import AlarmTopic
from infra.watch.widgets import WIDTH, Row


class WatchStack(Stack):
    """A dashboard, a budget, and alarms: all where the stage has them, one where an engine scales to zero.

    They write to a topic, and that to the stage's address if it has one.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        api: ApiStack,
        engine: EngineStack | None,
        data: DataStack,
    ) -> None:
        super().__init__(scope, construct_id, description=f"Chatbot API, {stage.name}: dashboard and alarms")
        rules = [
            *alarms.of_callers(stage, api.api),
            *alarms.of_function("Chat", api.chat_name),
            *alarms.of_function("Todos", api.todos_name),
            *(alarms.of_inference(stage, stage.engine) if stage.engine else ()),
            *alarms.of_stores(data.table, data.database),
        ]
        made = [rule.add_to(self) for rule in rules if stage.alarms]
        if engine and stage.engine and stage.engine.scales_to_zero:
            made.append(alarms.of_idle_engine(stage, engine.machines).add_to(self))
        topic = AlarmTopic(self, "Topic", email=stage.alarm_email).topic
        for alarm in made:
            alarm.add_alarm_action(actions.SnsAction(topic))
            alarm.add_ok_action(actions.SnsAction(topic))
        if stage.budget:
            add_budget(self, "Budget", usd=stage.budget, topic=topic)
        widgets: list[Row] = [
            *rows.traffic(stage, api.api, api.chat_name),
            *rows.functions(api.chat_name, data.table),
            *([rows.environments(api.chat_name)] if stage.managed_instances else ()),
            *(rows.inference(stage, engine.service, engine.machines) if engine else ()),
            *rows.todos(api.todos_name, data.database, stage.database),
            *spending(
                stage,
                chat=api.chat_name,
                todos=api.todos_name,
                machines=engine.machines if engine else None,
                database=data.database,
            ),
        ]
        if made:
            states = cloudwatch.AlarmStatusWidget(title="Alarms (state)", alarms=made, width=WIDTH, height=3)
            widgets = [[states], *widgets]
        dashboard = cloudwatch.Dashboard(self, "Overview", widgets=widgets)
        console = f"https://{Aws.REGION}.console.aws.amazon.com/cloudwatch/home?region={Aws.REGION}"
        address = f"{console}#dashboards/dashboard/{dashboard.dashboard_name}"
        CfnOutput(self, "Dashboard", value=address, description="The dashboard's address")
        CfnOutput(self, "Alarms", value=topic.topic_arn, description="The topic of alarms and of the budget")
