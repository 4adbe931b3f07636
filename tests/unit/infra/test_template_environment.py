"""The variables of a template are those that the functions read, and are accepted by them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_cdk import Aws

from functions.chat.settings import Settings as ChatSettings
from functions.todos.settings import Settings as TodosSettings
from infra import environments
from infra.stages import DEV, SERVERLESS, STAGES, Engine, Hosted, Model, Prices, Stage

from .templates import ROOT, Deployment, Json
from .test_functions import CHAT, HOSTED, TODOS, listed, migrating, policies_of, resource

# Lambda itself reads it.
FOR_LAMBDA = "AWS_LAMBDA_EXEC_WRAPPER"


class Recorded(Mapping[str, str]):
    """Variables, and which of them were looked at."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings name what they read")

    def __len__(self) -> int:
        return len(self._variables)


def resolved(value: Any) -> str:
    """Return the text that a value becomes at deployment, with stand-ins for what only AWS knows."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(resolved, parts))
        case {"Fn::ImportValue": str(name)} if "Table" in name:
            return "Keys-1ABC"
        case {"Fn::ImportValue": str(name)} if re.search("Key|Secret|TodosUser", name):
            return "arn:aws:secretsmanager:eu-central-1:111122223333:secret:Name-AbCdEf"
        case {"Fn::GetAtt": [str(name), "FunctionUrl"]} if name.startswith(HOSTED):
            return "https://1abc.lambda-url.eu-central-1.on.aws/"
        case {"Fn::ImportValue": str()}:
            return "engine-1abc.eu-central-1.elb.amazonaws.com"
        case {"Ref": str(name)}:
            return {"AWS::Partition": "aws", "AWS::Region": "eu-central-1"}.get(name, "111122223333")
    raise AssertionError(f"no stand-in for {value}")


def environment(deployment: Deployment, logical_id: str) -> dict[str, str]:
    variables: Json = resource(deployment, logical_id).properties["Environment"]["Variables"]
    return {name: resolved(value) for name, value in variables.items()}


def test_the_chat_function_accepts_its_variables(deployment: Deployment) -> None:
    variables = Recorded(environment(deployment, CHAT))
    settings = ChatSettings.from_environment(variables)
    stage = deployment.stage
    assert list(settings.listed) == [model.id for model in stage.listed_models]
    assert settings.max_body_bytes == stage.max_body_bytes
    assert settings.max_event_bytes == stage.max_event_bytes
    assert settings.keep_records_days == stage.keep_records_days
    assert (settings.page is not None) is stage.chat_page
    assert settings.keys_table == "Keys-1ABC"
    assert settings.metrics == f"ChatbotApi/{stage.name}"
    assert settings.cors_origins == stage.cors_origins
    assert set(environment(deployment, CHAT)) - variables.read == {FOR_LAMBDA}


def test_the_engine_is_the_default_model_and_hosted_ones_answer_for_it(with_engine: Deployment) -> None:
    settings = ChatSettings.from_environment(environment(with_engine, CHAT))
    engine, *hosted = settings.models.values()
    assert with_engine.stage.engine
    wanted = with_engine.stage.engine.model
    assert (engine.id, engine.served_name, engine.engine) == (wanted.id, wanted.id, "vllm")
    assert engine.base_url.startswith("http://")
    assert engine.base_url.endswith(":8000/v1")
    assert engine.key_secret
    assert engine.key_secret.startswith("arn:aws:secretsmanager:")
    assert engine.max_tokens_limit == wanted.max_tokens_limit
    assert engine.media_hosts == frozenset(wanted.media_hosts)
    assert engine.extra_fields == frozenset(wanted.extra_fields)
    assert engine.fallback == tuple(each.id for each in with_engine.stage.hosted)
    for model in hosted:
        assert model.base_url == "https://1abc.lambda-url.eu-central-1.on.aws/v1"
        assert (model.credentials, model.served_name, model.listed) == ("function_url", model.id, False)


@pytest.mark.parametrize(("stage", "function"), [("serverless", CHAT), ("dev", HOSTED)])
def test_bedrock_is_called_from_outside_the_network(
    deployments: Mapping[str, Deployment], stage: str, function: str
) -> None:
    settings = ChatSettings.from_environment(environment(deployments[stage], function))
    (model,), (wanted,) = settings.models.values(), deployments[stage].stage.hosted
    assert model.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1"
    assert (model.id, model.served_name) == (wanted.id, wanted.served_name)
    assert (model.credentials, model.engine, model.listed) == ("bedrock", "bedrock", True)


def test_the_function_for_hosted_models_needs_no_key_behind_iam(dev: Deployment) -> None:
    variables = Recorded(environment(dev, HOSTED))
    settings = ChatSettings.from_environment(variables)
    assert settings.keys_table is None
    assert not settings.keys
    assert settings.metrics is None, "the chat function counts its requests"
    assert settings.page is None
    assert set(environment(dev, HOSTED)) - variables.read == {FOR_LAMBDA}
    chat = ChatSettings.from_environment(environment(dev, CHAT))
    assert settings.max_body_bytes == chat.max_body_bytes
    assert settings.reply_timeout_s == chat.reply_timeout_s


# What functions in the network call, and under which name: all of these are documented as reachable
# by IPv6, DynamoDB's as reachable by a gateway of the network. Lambda itself writes logs and traces, and
# makes interfaces, outside of it.
_NAMES = {
    "dynamodb": "dynamodb.eu-central-1.amazonaws.com",
    "secretsmanager": "secretsmanager.eu-central-1.amazonaws.com",
    "lambda": "lambda.eu-central-1.api.aws",
}
_BY_LAMBDA = {"logs", "xray", "ec2"}


def test_every_name_that_is_called_from_the_network_is_reachable_without_ipv4(dev: Deployment) -> None:
    called = {
        logical_id: {
            action.partition(":")[0]
            for statement in policies_of(dev, logical_id)
            for action in listed(statement["Action"])
        }
        - _BY_LAMBDA
        for logical_id in (CHAT, TODOS)
    }
    assert called[CHAT] <= set(_NAMES)
    assert called[TODOS] == {"dynamodb", "secretsmanager"}
    variables = environment(dev, CHAT)
    endpoint = variables.get("LAMBDA_ENDPOINT", "")
    assert endpoint == f"https://{_NAMES['lambda']}", "Lambda's usual name has no IPv6 address"
    hosts = {urlsplit(model["base_url"]).hostname or "" for model in json.loads(variables["MODELS"]).values()}
    assert all(host.endswith((".internal", ".lambda-url.eu-central-1.on.aws")) for host in hosts), hosts


MEDIA = Model(media_hosts=("images.example.com",), extra_fields=("top_k", "min_p"), media_tokens=900)
OWN = replace(
    DEV, name="own", egress="nat", engine=Engine(model=MEDIA), max_body_bytes=1000, keep_records_days=7
)


ADDRESS = environments.EngineAddress(
    base_url="http://engine:8000/v1",
    key_secret="arn:aws:secretsmanager:eu-central-1:111122223333:secret:Name-AbCdEf",
    scaler="arn:aws:lambda:eu-central-1:111122223333:function:Scaler-1ABC",
)


def settings_of(stage: Stage) -> ChatSettings:
    """Return the settings of the chat function, without a synthesis."""
    models = environments.models(
        stage,
        engine=ADDRESS if stage.engine else None,
        hosted_function="https://1abc.lambda-url.eu-central-1.on.aws/" if stage.engine else None,
    )
    text = json.dumps(models).replace(Aws.REGION, "eu-central-1")
    variables = environments.chat_environment(stage, models_json=text, table="Keys")
    return ChatSettings.from_environment(variables)


HOSTED_ELSEWHERE = Hosted(
    id="theirs",
    served_name="big",
    base_url="https://api.example.com/v1",
    kind="openai",
    key_secret="arn:aws:secretsmanager:eu-central-1:111122223333:secret:Theirs-AbCdEf",
    prices=None,
)
WITHOUT = replace(SERVERLESS, hosted=(HOSTED_ELSEWHERE, Hosted()))


@pytest.mark.parametrize("stage", [*STAGES.values(), OWN, WITHOUT], ids=lambda stage: str(stage.name))
def test_the_chat_function_accepts_every_stage_s_models_and_limits(stage: Stage) -> None:
    settings = settings_of(stage)
    for wanted in stage.listed_models:
        model = settings.listed[wanted.id]
        assert model.extra_fields == set(wanted.extra_fields)
        assert (model.template_tokens, model.media_tokens) == (wanted.template_tokens, wanted.media_tokens)
    if stage.engine:
        assert settings.default_model.media_hosts == set(stage.engine.model.media_hosts)
    limits = settings.max_body_bytes, settings.keep_records_days
    assert limits == (stage.max_body_bytes, stage.keep_records_days)


def test_a_model_at_another_address_has_its_own_name_and_key_there() -> None:
    model = settings_of(WITHOUT).default_model
    assert (model.base_url, model.served_name, model.engine) == (
        "https://api.example.com/v1",
        "big",
        "openai",
    )
    assert (model.credentials, model.key_secret) == ("key", HOSTED_ELSEWHERE.key_secret)


@pytest.mark.parametrize(
    ("prices", "cached"),
    [(Prices(input=0.15, cached=0.05, output=0.6), 0.05), (Prices(input=2, output=6.25, currency="EUR"), 2)],
)
def test_the_chat_function_accepts_the_prices_of_its_model(prices: Prices, cached: float) -> None:
    model = settings_of(replace(DEV, hosted=(), engine=Engine(model=Model(prices=prices)))).default_model
    assert model.prices
    assert (float(model.prices.input), float(model.prices.output)) == (prices.input, prices.output)
    assert (float(model.prices.cached), model.prices.currency) == (cached, prices.currency)


def test_only_an_engine_that_scales_to_zero_can_be_started(dev: Deployment, prod: Deployment) -> None:
    scaled = ChatSettings.from_environment(environment(dev, CHAT)).default_model
    always = ChatSettings.from_environment(environment(prod, CHAT)).default_model
    assert scaled.scaler == "arn:aws:lambda:eu-central-1:111122223333:function:ChatbotDevEngine-Scaler"
    assert dev.stage.engine
    assert scaled.start_s == dev.stage.engine.start_s
    assert always.scaler is None


def test_the_wait_for_a_starting_engine_ends_before_the_function_does(dev: Deployment) -> None:
    settings = ChatSettings.from_environment(environment(dev, CHAT))
    timeout_s = resource(dev, CHAT).properties["Timeout"]
    assert settings.default_model.start_s < settings.warming_timeout_s < timeout_s


def test_the_todo_function_accepts_its_variables(deployment: Deployment) -> None:
    variables = Recorded(environment(deployment, TODOS))
    settings = TodosSettings.from_environment(variables)
    assert settings.database_secret
    assert settings.database_secret.startswith("arn:aws:secretsmanager:")
    assert str(settings.database_ca) == "/opt/rds-ca/eu-central-1.pem"
    assert settings.keys_table == "Keys-1ABC"
    assert (settings.graphiql is not None) is deployment.stage.graphiql
    assert settings.introspection is deployment.stage.graphiql
    assert set(environment(deployment, TODOS)) - variables.read == {FOR_LAMBDA}


# Aurora, "Scaling to Zero ACUs with automatic pause and resume": after a day, "30 seconds or longer".
_LONGEST_RESUME_S = 30


def test_a_connection_is_tried_for_twice_as_long_as_a_paused_database_resumes(dev: Deployment) -> None:
    settings = TodosSettings.from_environment(environment(dev, TODOS))
    # functions/todos/database.py gives up after two queries' time; a start of the function takes 10 s.
    gives_up_s = 2 * settings.query_timeout_s
    assert gives_up_s >= 1.9 * _LONGEST_RESUME_S
    assert gives_up_s + 10 < resource(dev, TODOS).properties["Timeout"]


def test_the_migrating_function_reads_its_variables(deployment: Deployment) -> None:
    variables = migrating(deployment).properties["Environment"]["Variables"]
    sources = "".join(path.read_text() for path in (ROOT / "layers/prisma/migrate").glob("*.mjs"))
    assert variables.keys() == {"DATABASE_SECRET", "DATABASE_CA", "USER_SECRET"}
    for name in variables:
        assert name in sources


@pytest.mark.parametrize("logical_id", [CHAT, TODOS])
def test_no_secret_is_in_a_variable(deployment: Deployment, logical_id: str) -> None:
    text = str(resource(deployment, logical_id).properties["Environment"])
    assert "{{resolve:" not in text
    assert "password" not in text.lower()
