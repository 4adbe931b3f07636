"""The variables of a template are those that the functions read, and are accepted by them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.chat.settings import Settings as ChatSettings
from functions.todos.settings import Settings as TodosSettings
from infra import environments
from infra.stages import DEV, STAGES, Engine, Model, Prices, Stage

from .templates import ROOT, Deployment, Json
from .test_functions import CHAT, TODOS, migrating, resource

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
        case {"Fn::ImportValue": str(name)} if "Cluster" in name:
            return "Cluster-1ABC"
        case {"Fn::ImportValue": str(name)} if "Service" in name:
            return "Service-1ABC"
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
    wanted = deployment.stage.engine
    (model,) = settings.models.values()
    assert (model.id, model.served_name) == (wanted.model.id, wanted.model.id)
    assert model.base_url.startswith("http://")
    assert model.base_url.endswith(":8000/v1")
    assert model.key_secret
    assert model.key_secret.startswith("arn:aws:secretsmanager:")
    assert model.max_tokens_limit == wanted.model.max_tokens_limit
    assert settings.max_body_bytes == deployment.stage.max_body_bytes
    assert settings.max_event_bytes == deployment.stage.max_event_bytes
    assert settings.keep_records_days == deployment.stage.keep_records_days
    assert (settings.page is not None) is deployment.stage.chat_page
    assert model.engine == "vllm"
    assert model.media_hosts == frozenset(wanted.model.media_hosts)
    assert model.extra_fields == frozenset(wanted.model.extra_fields)
    assert settings.keys_table == "Keys-1ABC"
    assert settings.metrics == f"ChatbotApi/{deployment.stage.name}"
    assert settings.cors_origins == deployment.stage.cors_origins
    assert set(environment(deployment, CHAT)) - variables.read == {FOR_LAMBDA}


MEDIA = Model(media_hosts=("images.example.com",), extra_fields=("top_k", "min_p"), media_tokens=900)
OWN = replace(DEV, egress="nat", engine=Engine(model=MEDIA), max_body_bytes=1000, keep_records_days=7)


def models_of(stage: Stage) -> dict[str, Any]:
    return environments.models(
        stage,
        base_url="http://engine:8000/v1",
        key_secret="arn:aws:secretsmanager:eu-central-1:111122223333:secret:Name-AbCdEf",
        service="arn:aws:ecs:eu-central-1:111122223333:service/Cluster/Service",
    )


@pytest.mark.parametrize("stage", [*STAGES.values(), OWN], ids=lambda stage: str(stage.name))
def test_the_chat_function_accepts_every_stage_s_model_and_limits(stage: Stage) -> None:
    """Without a synthesis, so also those of a stage of one's own."""
    variables = environments.chat_environment(stage, models_json=json.dumps(models_of(stage)), table="Keys")
    settings = ChatSettings.from_environment(variables)
    (model,) = settings.models.values()
    assert model.media_hosts == set(stage.engine.model.media_hosts)
    assert model.extra_fields == set(stage.engine.model.extra_fields)
    wanted = stage.engine.model
    assert (model.template_tokens, model.media_tokens) == (wanted.template_tokens, wanted.media_tokens)
    assert (settings.max_body_bytes, settings.keep_records_days) == (
        stage.max_body_bytes,
        stage.keep_records_days,
    )


@pytest.mark.parametrize(
    ("prices", "cached"),
    [(Prices(input=0.15, cached=0.05, output=0.6), 0.05), (Prices(input=2, output=6.25, currency="EUR"), 2)],
)
def test_the_chat_function_accepts_the_prices_of_its_model(prices: Prices, cached: float) -> None:
    stage = replace(DEV, engine=Engine(model=Model(prices=prices)))
    variables = environments.chat_environment(stage, models_json=json.dumps(models_of(stage)), table="Keys")
    (model,) = ChatSettings.from_environment(variables).models.values()
    assert model.prices
    assert (float(model.prices.input), float(model.prices.output)) == (prices.input, prices.output)
    assert (float(model.prices.cached), model.prices.currency) == (cached, prices.currency)


def test_only_an_engine_that_scales_to_zero_can_be_started(dev: Deployment, prod: Deployment) -> None:
    (scaled,) = ChatSettings.from_environment(environment(dev, CHAT)).models.values()
    (always,) = ChatSettings.from_environment(environment(prod, CHAT)).models.values()
    assert scaled.ecs_service == "arn:aws:ecs:eu-central-1:111122223333:service/Cluster-1ABC/Service-1ABC"
    assert scaled.start_s == dev.stage.engine.start_s
    assert always.ecs_service is None


def test_the_wait_for_a_starting_engine_ends_before_the_function_does(dev: Deployment) -> None:
    settings = ChatSettings.from_environment(environment(dev, CHAT))
    (model,) = settings.models.values()
    assert model.start_s < settings.warming_timeout_s < resource(dev, CHAT).properties["Timeout"]


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


def test_a_query_may_wait_for_a_paused_database_and_be_repeated(dev: Deployment) -> None:
    settings = TodosSettings.from_environment(environment(dev, TODOS))
    assert settings.query_timeout_s > 10
    assert 2 * settings.query_timeout_s < resource(dev, TODOS).properties["Timeout"]


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
