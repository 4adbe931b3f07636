"""The functions, the REST API and the Function URLs that lead to them, and the migrations.

Where the stage has an engine, the chat function is in the network, and hosted models are reached by a second
one with the same code outside it: docs/decisions/0025-a-network-without-endpoints.md. Where the stage has
managed instances, a chat function of its own runs on them: docs/decisions/0037-managed-instances.md.
"""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra import environments
from infra.bundles import Bundles
from infra.constructs.firewall import Firewall
from infra.constructs.grants import (
    grant_bedrock,
    grant_function_url,
    grant_invoke,
    grant_items,
    grant_secret_value,
)
from infra.constructs.managed_machines import ManagedMachines
from infra.constructs.migrations import Migrations
from infra.constructs.rest_api import StreamingRestApi
from infra.constructs.streaming_function import ARCHITECTURES, PYTHON, Place, StreamingFunction
from infra.stacks.data import DataStack
from infra.stacks.engine import EngineStack
from infra.stacks.network import NetworkStack
from infra.stages import Stage
from infra.watch.canary import add_canaries

CHAT_TIMEOUT_S = 900
# Twice as long as a query may take, and a start of the function.
TODOS_TIMEOUT_S = 75


class ApiStack(Stack):
    """The functions, a REST API before them, a Function URL each, and what migrates the database.

    Shape:  `chat_name`, `todos_name`: the names of the functions that answer the API's requests.
    """

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
        self._chat_code = bundles.chat()
        self._chat_layers = [
            streaming,
            self._layer("ChatDependencies", "Packages of the chat function", bundles.chat_dependencies()),
        ]
        chat, on_demand = self._chat_functions(self._hosted() if engine and stage.hosted else None)
        todos = self._todos(bundles, streaming)
        self.chat_name, self.todos_name = chat.name, todos.name
        self.migrations = Migrations(
            self,
            "Migrations",
            stage=stage,
            place=self._place(network.todos_group),
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
            chat_before=on_demand.live if on_demand else None,
        )
        self.api = rest_api.api
        if stage.waf:
            Firewall(self, "Firewall", stage=stage, api=self.api)
        if stage.canary:
            add_canaries(self, stage=stage, chat=chat.live, todos=todos.live)
        self._add_outputs(rest_api, chat, todos, on_demand)

    def _chat_functions(
        self, hosted: StreamingFunction | None
    ) -> tuple[StreamingFunction, StreamingFunction | None]:
        """Make the chat functions: the one that answers the API's requests, and the one on demand beside it.

        A function cannot leave managed instances, so a stage has one for each. The one on demand does not
        change when the other one is made: its streams go on, and its Function URL stays.
        """
        on_demand = self._chat("ChatFunction", hosted) if self._stage.has_chat_on_demand else None
        settings = self._stage.managed_instances
        if not settings:
            assert on_demand is not None
            return on_demand, None
        if on_demand:
            # The dashboard's stack imports the name until its own update, which is after this stack's.
            self.export_value(on_demand.function.function_name)
        machines = ManagedMachines(
            self,
            "Machines",
            stage=self._stage,
            settings=settings,
            architecture=ARCHITECTURES[self._stage.architecture],
            subnets=self._network.vpc.select_subnets(subnet_type=self._network.subnets.subnet_type).subnets,
            security_group=self._network.chat_group,
        )
        return self._chat(self._stage.chat_function, hosted, machines), on_demand

    def _chat(
        self, construct_id: str, hosted: StreamingFunction | None, machines: ManagedMachines | None = None
    ) -> StreamingFunction:
        address, scaler = None, None
        if self._engine and self._data.engine_key:
            scaler = self._engine.scaler_arn
            address = environments.EngineAddress(
                base_url=self._engine.base_url, key_secret=self._data.engine_key.secret_arn, scaler=scaler
            )
        models = environments.models(
            self._stage, engine=address, hosted_function=hosted.url.url if hosted else None
        )
        chat = StreamingFunction(
            self,
            construct_id,
            stage=self._stage,
            place=self._place(self._network.chat_group) if self._engine and not machines else None,
            description=f"Chatbot API, {self._stage.name}: chat completions",
            code=self._chat_code,
            handler="functions.chat.handler.handler",
            layers=self._chat_layers,
            environment=environments.chat_environment(
                self._stage,
                models_json=self.to_json_string(models),
                table=self._data.table.table_name,
                scaler=scaler,
            ),
            memory_mb=machines.memory_mb if machines else self._stage.memory_mb[0],
            timeout_s=CHAT_TIMEOUT_S,
            reserved=self._stage.reserved[0],
            machines=machines,
            # Given, not made: a stack that imports it would keep the function from being deleted.
            name=f"chatbot-{self._stage.name}-managed-chat" if machines else None,
        )
        grant_items(chat.function, self._data.table, ("key#*",), ("GetItem",))
        grant_items(chat.function, self._data.table, ("id#*",), ("GetItem", "UpdateItem"))
        grant_items(chat.function, self._data.table, ("usage#*",), ("GetItem",))
        grant_items(chat.function, self._data.table, ("usage#*", "sums#*"), ("PutItem", "UpdateItem"))
        grant_items(chat.function, self._data.table, ("sums#*", "usage#*#sums"), ("Query",))
        if self._data.engine_key:
            grant_secret_value(chat.function, self._data.engine_key)
        if scaler:
            grant_invoke(chat.function, scaler)
        if hosted:
            grant_function_url(chat.function, hosted.live)
        if not self._engine:
            self._grant_hosted(chat)
        return chat

    def _hosted(self) -> StreamingFunction:
        """Make the function that reaches the hosted models, which only the chat function may call."""
        models = environments.models(self._stage, engine=None)
        function = StreamingFunction(
            self,
            "HostedFunction",
            stage=self._stage,
            place=None,
            description=f"Chatbot API, {self._stage.name}: models that others host, for the chat function",
            code=self._chat_code,
            handler="functions.chat.handler.handler",
            layers=self._chat_layers,
            environment=environments.hosted_environment(self._stage, models_json=self.to_json_string(models)),
            memory_mb=self._stage.memory_mb[0],
            timeout_s=CHAT_TIMEOUT_S,
            reserved=None,
            url_auth="AWS_IAM",
        )
        self._grant_hosted(function)
        return function

    def _grant_hosted(self, function: StreamingFunction) -> None:
        """Allow a function the hosted models of the stage."""
        bedrock = [each.served_name for each in self._stage.hosted if each.is_bedrock]
        if bedrock:
            grant_bedrock(function.function, bedrock)
        for number, arn in enumerate(sorted({e.key_secret for e in self._stage.hosted if e.key_secret}), 1):
            secret = secretsmanager.Secret.from_secret_complete_arn(self, f"HostedKey{number}", arn)
            grant_secret_value(function.function, secret)

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
        return Place(
            vpc=self._network.vpc,
            subnets=self._network.subnets,
            security_group=group,
            ipv6=self._stage.egress == "ipv6",
        )

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
        self,
        rest_api: StreamingRestApi,
        chat: StreamingFunction,
        todos: StreamingFunction,
        on_demand: StreamingFunction | None,
    ) -> None:
        first_key = f".venv/bin/python -m functions.keys create --stack {self._data.stack_name} --name me"
        outputs = {
            "ApiUrl": (rest_api.url, "The API; OpenAI's clients need it with v1 at its end"),
            "ChatUrl": (chat.url.url, "The chat function's own address"),
            "TodosUrl": (todos.url.url, "The todo function's own address, with graphql at its end"),
            "FirstKey": (first_key, "The command that makes the first API key"),
        }
        if on_demand:
            outputs["OnDemandChatUrl"] = (on_demand.url.url, "The address of the chat function on demand")
        if rest_api.target:
            outputs["NameTarget"] = (rest_api.target, "What the DNS record of the API's name points to")
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
