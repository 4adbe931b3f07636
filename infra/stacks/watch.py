"""What people look at, and what calls them."""

from __future__ import annotations

from collections.abc import Iterator

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.engine import EngineStack
from infra.stages import Stage
from infra.watch import alarms, rows
from infra.watch.alarm_rule import Fault
from infra.watch.spending import spending
from infra.watch.topic import AlarmTopic
from infra.watch.widgets import WIDTH, Row


class WatchStack(Stack):
    """A dashboard; and alarms where the stage asks for them, which write to its address if it has one."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        api: ApiStack,
        engine: EngineStack,
        data: DataStack,
    ) -> None:
        super().__init__(scope, construct_id, description=f"Chatbot API, {stage.name}: dashboard and alarms")
        faults = [fault.add_to(self) for fault in _faults(stage, api, data)] if stage.alarms else []
        if stage.alarm_email:
            action = actions.SnsAction(AlarmTopic(self, "Topic", email=stage.alarm_email).topic)
            for alarm in faults:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)
        dashboard = cloudwatch.Dashboard(
            self, "Overview", widgets=[*_states(faults), *_rows(stage, api, engine, data)]
        )
        CfnOutput(self, "Dashboard", value=_address(dashboard), description="What people look at")


def _faults(stage: Stage, api: ApiStack, data: DataStack) -> Iterator[Fault]:
    yield from alarms.of_callers(stage, api.api)
    yield from alarms.of_function("Chat", api.chat)
    yield from alarms.of_function("Todos", api.todos)
    yield from alarms.of_inference(stage)
    yield from alarms.of_stores(data.table, data.database)


def _states(faults: list[cloudwatch.Alarm]) -> list[Row]:
    if not faults:
        return []
    return [[cloudwatch.AlarmStatusWidget(title="Alarms (state)", alarms=faults, width=WIDTH, height=3)]]


def _rows(stage: Stage, api: ApiStack, engine: EngineStack, data: DataStack) -> list[Row]:
    return [
        *rows.traffic(stage, api.api, api.chat),
        *rows.functions(api.chat, data.table),
        *rows.inference(stage, engine.service),
        *rows.todos(api.todos, data.database, stage.database),
        *spending(stage, chat=api.chat, todos=api.todos, service=engine.service, database=data.database),
    ]


def _address(dashboard: cloudwatch.Dashboard) -> str:
    console = f"https://{Aws.REGION}.console.aws.amazon.com/cloudwatch/home?region={Aws.REGION}"
    return f"{console}#dashboards/dashboard/{dashboard.dashboard_name}"
