import json
import os
from collections.abc import Mapping

import pytest

from infra.local.deployment import routes
from infra.local.lambda_service.function import LambdaFunction
from infra.local.services.models import embedded_models
from infra.local.settings import Settings
from infra.paths import ROOT

MODELS = embedded_models("http://127.0.0.1:1/v1")


def chat(settings: Settings) -> LambdaFunction:
    return dict(routes(settings, MODELS, ""))["/"]


def todos(settings: Settings, url: str = "postgresql://u:p@h/d") -> LambdaFunction:
    return dict(routes(settings, MODELS, url))["/graphql"]


def test_the_chat_function_has_its_models_and_its_page() -> None:
    environment = chat(Settings()).environment
    assert environment["CHAT_PAGE"] == str(ROOT / ".local/chat-page")
    assert json.loads(environment["MODELS"]) == MODELS
    assert environment["MAX_N"] == "4"


def test_limits_and_what_models_are_sent_are_settings() -> None:
    assert not {"MAX_BODY_BYTES", "MAX_EVENT_BYTES"} & chat(Settings()).environment.keys()
    chosen = Settings(
        max_body_bytes=7,
        max_event_bytes=8,
        media_hosts=("a.example",),
        extra_fields=("f",),
        prices={"input": 1, "output": 2},
    )
    environment = chat(chosen).environment
    assert (environment["MAX_BODY_BYTES"], environment["MAX_EVENT_BYTES"]) == ("7", "8")
    (entry,) = json.loads(environment["MODELS"]).values()
    assert (entry["media_hosts"], entry["extra_fields"]) == (["a.example"], ["f"])
    assert entry["prices"] == {"input": 1, "output": 2}


def test_a_backends_key_reaches_the_function_only_by_its_variable() -> None:
    environment = chat(Settings(backend="http://a/v1", backend_key="secret")).environment
    assert environment["BACKEND_KEY"] == "secret"
    assert "secret" not in environment["MODELS"]
    assert "MAX_N" not in environment


def test_models_of_one_s_own_get_their_variables_and_no_limit_of_llama_cpp() -> None:
    environment = chat(Settings(models=MODELS, engine_variables={"AWS_PROFILE": "mine"})).environment
    assert environment["AWS_PROFILE"] == "mine"
    assert "MAX_N" not in environment


def test_each_engine_has_the_key_of_its_own_variable() -> None:
    settings = Settings(backend="http://a/v1", backend_key="one", fallback="http://b/v1", fallback_key="two")
    environment = chat(settings).environment
    assert (environment["BACKEND_KEY"], environment["FALLBACK_KEY"]) == ("one", "two")


def test_the_chat_function_alone_shares_its_environments() -> None:
    settings = Settings(per_environment=64)
    assert (chat(settings).per_environment, chat(settings).concurrency) == (64, 64)
    assert (todos(settings).per_environment, todos(settings).concurrency) == (1, 10)
    shared = chat(settings).sandbox_environment("")
    assert (shared["AWS_LAMBDA_MAX_CONCURRENCY"], shared["AWS_LAMBDA_LOG_FORMAT"]) == ("64", "JSON")
    assert shared["AWS_LAMBDA_INITIALIZATION_TYPE"] == "lambda-managed-instances"
    for function in (chat(Settings()), todos(settings)):
        alone = function.sandbox_environment("")
        assert not {"AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_LOG_FORMAT"} & alone.keys()


def test_without_a_database_there_is_no_todo_function() -> None:
    assert [prefix for prefix, _ in routes(Settings(), MODELS, "")] == ["/"]


def test_the_todo_function_finds_its_database_and_its_page() -> None:
    environment = todos(Settings()).environment
    assert environment["DATABASE_URL"] == "postgresql://u:p@h/d"
    assert environment["GRAPHIQL"] == str(ROOT / ".local/graphiql")


def test_every_function_can_reach_the_keys_where_there_are_any() -> None:
    keys = {"KEYS_TABLE": "keys", "DYNAMODB_ENDPOINT": "http://127.0.0.1:1"}
    url = "postgresql://u:p@h/d"
    with_keys = [function.environment for _, function in routes(Settings(), MODELS, url, keys)]
    without_keys = [function.environment for _, function in routes(Settings(), MODELS, url)]
    assert with_keys == [{**environment, **keys} for environment in without_keys]
    assert not any(keys.keys() & environment.keys() for environment in without_keys)


def test_every_function_knows_the_origins_that_may_call() -> None:
    settings = Settings(cors_origins="http://localhost:3000")
    deployed = routes(settings, MODELS, "postgresql://u:p@h/d", {"KEYS_TABLE": "keys"})
    origins = [function.environment["CORS_ORIGINS"] for _, function in deployed]
    assert origins == ["http://localhost:3000"] * 2
    assert "CORS_ORIGINS" not in chat(Settings()).environment


def test_a_sandbox_inherits_nothing_but_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment: Mapping[str, str] = chat(Settings()).sandbox_environment("127.0.0.1:9001")
    assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONDONTWRITEBYTECODE"} & environment.keys()
    assert environment["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert environment["_HANDLER"] == "functions/chat/handler.handler"
    assert environment["PATH"] == os.environ["PATH"]


def test_the_files_that_lambda_would_start_exist() -> None:
    for function in (chat(Settings()), todos(Settings())):
        assert os.access(function.command[0], os.X_OK)
        assert (ROOT / function.handler).with_suffix(".py").is_file()
