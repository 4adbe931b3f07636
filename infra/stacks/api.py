"""The two functions, the REST API and the Function URLs that lead to them, and the migrations."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import environments
from infra.bundles import Bundles
from infra.constructs.firewall import Firewall
from infra.constructs.grants import grant_items, grant_secret_value
from infra.constructs.migrations import Migrations
from infra.constructs.rest_api import StreamingRestApi
from infra.constructs.streaming_function import ARCHITECTURES, PYTHON, Place, StreamingFunction
from infra.stacks.data import DataStack
from infra.stacks.engine import EngineStack
from infra.stacks.network import NetworkStack
from infra.stages import Stage
from infra.watch.alarms import of_new_version
from infra.watch.canary import Canary

CHAT_TIMEOUT_S = 900
TODOS_TIMEOUT_S = 30


class ApiStack(Stack):
    """The functions, a REST API before them, a Function URL each, and what migrates the database."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: NetworkStack,
        data: DataStack,
        engine: EngineStack | None,
        bundles: Bundles,
    ) -> None:
        super().__init__(
            scope, construct_id, description=f"Chatbot API, {stage.name}: functions, REST API, Function URLs"
        )
        self._stage, self._network, self._data, self._engine = stage, network, data, engine
        streaming = self._layer("Streaming", "The streaming runtime", bundles.streaming())
        chat = self._chat(bundles, streaming)
        todos = self._todos(bundles, streaming)
        self.chat, self.todos = chat.function, todos.function
        self.migrations = Migrations(
            self,
            "Migrations",
            stage=stage,
            vpc=network.vpc,
            subnets=network.subnets,
            security_group=network.todos_group,
            code=bundles.migrations(),
            database_secret=data.database_secret,
            user_secret=data.todos_secret,
            before=todos.function,
        ).function
        rest_api = StreamingRestApi(
            self,
            "FrontDoor",
            stage=stage,
            chat=chat.live,
            chat_timeout_s=CHAT_TIMEOUT_S,
            todos=todos.live,
            todos_timeout_s=TODOS_TIMEOUT_S,
        )
        self.api = rest_api.api
        if stage.waf:
            Firewall(self, "Firewall", stage=stage, api=self.api)
        if stage.canary:
            breaks = of_new_version(stage).add_to(self)
            application = codedeploy.LambdaApplication(self, "Deployments")
            Canary(self, "ChatCanary", application=application, live=chat.live, alarms=[breaks])
            Canary(self, "TodosCanary", application=application, live=todos.live)
        self._add_outputs(rest_api, chat, todos)

    def _chat(self, bundles: Bundles, streaming: lambda_.LayerVersion) -> StreamingFunction:
        address = None
        if self._engine and self._data.engine_key:
            address = environments.EngineAddress(
                base_url=self._engine.base_url,
                key_secret=self._data.engine_key.secret_arn,
                scaler=self._engine.scaler_arn,
            )
        models = environments.models(self._stage, engine=address)
        chat = StreamingFunction(
            self,
            "ChatFunction",
            stage=self._stage,
            place=self._place(self._network.chat_group) if self._engine else None,
            description=f"Chatbot API, {self._stage.name}: chat completions",
            code=bundles.chat(),
            handler="functions.chat.handler.handler",
            layers=[
                streaming,
                self._layer("ChatDependencies", "Packages of the chat function", bundles.chat_dependencies()),
            ],
            environment=environments.chat_environment(
                self._stage, models_json=self.to_json_string(models), table=self._data.table.table_name
            ),
            memory_mb=self._stage.memory_mb[0],
            timeout_s=CHAT_TIMEOUT_S,
            reserved=self._stage.reserved[0],
        )
        grant_items(chat.function, self._data.table, ("key#*",), ("GetItem",))
        grant_items(chat.function, self._data.table, ("id#*",), ("GetItem", "UpdateItem"))
        grant_items(chat.function, self._data.table, ("usage#*",), ("GetItem",))
        grant_items(chat.function, self._data.table, ("usage#*", "sums#*"), ("PutItem", "UpdateItem"))
        grant_items(chat.function, self._data.table, ("sums#*", "usage#*#sums"), ("Query",))
        if self._data.engine_key:
            grant_secret_value(chat.function, self._data.engine_key)
        return chat

    def _todos(self, bundles: Bundles, streaming: lambda_.LayerVersion) -> StreamingFunction:
        todos = StreamingFunction(
            self,
            "TodosFunction",
            stage=self._stage,
            place=self._place(self._network.todos_group),
            description=f"Chatbot API, {self._stage.name}: todos by GraphQL",
            code=bundles.todos(),
            handler="functions.todos.handler.handler",
            layers=[
                streaming,
                self._layer(
                    "TodosDependencies", "Packages of the todo function", bundles.todos_dependencies()
                ),
                self._layer("Prisma", "Prisma's query engine", bundles.prisma_engine()),
            ],
            environment=environments.todos_environment(
                self._stage,
                database_secret=self._data.todos_secret.secret_arn,
                table=self._data.table.table_name,
            ),
            memory_mb=self._stage.memory_mb[1],
            timeout_s=TODOS_TIMEOUT_S,
            reserved=self._stage.reserved[1],
        )
        grant_items(todos.function, self._data.table, ("key#*",), ("GetItem",))
        grant_items(todos.function, self._data.table, ("id#*",), ("GetItem", "UpdateItem"))
        grant_secret_value(todos.function, self._data.todos_secret)
        return todos

    def _place(self, group: ec2.ISecurityGroup) -> Place:
        return Place(vpc=self._network.vpc, subnets=self._network.subnets, security_group=group)

    def _layer(self, construct_id: str, description: str, code: lambda_.Code) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            construct_id,
            code=code,
            description=description,
            compatible_runtimes=[PYTHON],
            compatible_architectures=[ARCHITECTURES[self._stage.architecture]],
        )

    def _add_outputs(
        self, rest_api: StreamingRestApi, chat: StreamingFunction, todos: StreamingFunction
    ) -> None:
        first_key = f".venv/bin/python -m functions.keys create --stack {self._data.stack_name} --name me"
        outputs = {
            "ApiUrl": (rest_api.url, "The API; OpenAI's clients need it with v1 at its end"),
            "ChatUrl": (chat.url.url, "The chat function's own address"),
            "TodosUrl": (todos.url.url, "The todo function's own address, with graphql at its end"),
            "FirstKey": (first_key, "The command that makes the first API key"),
        }
        if rest_api.target:
            outputs["NameTarget"] = (rest_api.target, "What the DNS record of the API's name points to")
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
