import inspect
import json
import re
from pathlib import Path

import pytest

from infra.local import settings as settings_module
from infra.local.errors import CannotStart
from infra.local.settings import Settings
from infra.paths import ROOT


def test_an_empty_environment_means_the_defaults() -> None:
    assert Settings.from_environment({"PORT": "", "BACKEND": ""}) == Settings()


def test_every_variable_is_read() -> None:
    variables = {
        "PORT": "0",
        "BACKEND": "http://localhost:1234/v1/",
        "BACKEND_KEY": "secret",
        "FALLBACK": "https://a.example/v1/",
        "FALLBACK_KEY": "secret",
        "CONCURRENCY": "3",
        "PER_ENVIRONMENT": "2",
        "TIMEOUT_S": "60",
        "DATABASE_URL": "postgresql://u:secret@h/d",
        "POSTGRES_DIR": "/data",
        "AUTH": "on",
        "DEV_KEY": "secret key",
        "CORS_ORIGINS": "http://localhost:3000, https://a.example",
        "HOSTS": "box.example, box",
        "MAX_BODY_BYTES": "2000000",
        "MAX_EVENT_BYTES": "3000000",
        "MEDIA_HOSTS": "images.example.com",
        "EXTRA_FIELDS": "mirostat_tau,repeat_last_n,",
        "PRICES": '{"input": 0.15, "output": 0.6}',
        "SERVES": "chat, embeddings",
        "EMBEDDING_MODEL": "/models/Vectors.gguf",
    }
    settings = Settings.from_environment(variables)
    assert settings == Settings(
        port=0,
        backend="http://localhost:1234/v1",
        backend_key="secret",
        fallback="https://a.example/v1",
        fallback_key="secret",
        concurrency=3,
        per_environment=2,
        timeout_s=60,
        database_url="postgresql://u:secret@h:5432/d",
        postgres_dir=Path("/data"),
        auth=True,
        dev_key="secret key",
        cors_origins="http://localhost:3000, https://a.example",
        hosts=("box.example", "box"),
        max_body_bytes=2_000_000,
        max_event_bytes=3_000_000,
        media_hosts=("images.example.com",),
        extra_fields=("mirostat_tau", "repeat_last_n"),
        prices={"input": 0.15, "output": 0.6},
        serves=("chat", "embeddings"),
        embedding_model=Path("/models/Vectors.gguf"),
    )
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "-1"),
        ("PORT", "1e3"),
        ("PORT", "٨"),
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "1001"),
        ("PER_ENVIRONMENT", "0"),
        ("PER_ENVIRONMENT", "65"),
        ("PER_ENVIRONMENT", "abc"),
        ("TIMEOUT_S", "901"),
        ("BACKEND", "ftp://a"),
        ("FALLBACK", "LOCAL"),
        ("AUTH", "yes"),
        ("AUTH", "ON"),
        ("CORS_ORIGINS", "localhost:3000"),
        ("CORS_ORIGINS", "http://localhost:3000/"),
        ("HOSTS", "http://box.example"),
        ("HOSTS", "box.example:8000"),
        ("MEDIA_HOSTS", "images.example.com/path"),
        ("MAX_BODY_BYTES", "6291457"),
        ("MAX_BODY_BYTES", "4 MB"),
        ("MAX_EVENT_BYTES", "0"),
        ("EXTRA_FIELDS", "a-b"),
        ("PRICES", "0.15"),
        ("PRICES", "{"),
        ("MODELS", "3"),
        ("SERVES", "responses"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=f"Expected {name} to be .* but got '{value}'"):
        Settings.from_environment({name: value})


BEDROCK = {"gpt": {"base_url": "https://b.example/v1", "engine": "bedrock", "credentials": "bedrock"}}
STARTED = {"gpu": {"base_url": "http://e.example/v1", "scaler": "arn:aws:lambda:eu-central-1:1:function:s"}}


def test_models_bring_the_variables_of_their_keys_and_no_others() -> None:
    own = {"gpt": {"base_url": "https://b.example/v1", "key_variable": "GPT_KEY"}}
    variables = {"GPT_KEY": "k", "AWS_PROFILE": "mine", "OTHER": "o"}
    settings = Settings.from_environment({"MODELS": json.dumps(own), **variables})
    assert (settings.models, settings.engine_variables) == (own, {"GPT_KEY": "k"})
    for models in (BEDROCK, STARTED):
        settings = Settings.from_environment({"MODELS": json.dumps(models), **variables})
        assert settings.engine_variables == {"AWS_PROFILE": "mine"}


@pytest.mark.parametrize("other", [{"BACKEND": "http://a/v1"}, {"FALLBACK": "http://a/v1"}, {"AUTH": "on"}])
def test_models_do_not_go_with_what_would_change_them(other: dict[str, str]) -> None:
    with pytest.raises(CannotStart, match="MODELS"):
        Settings.from_environment({"MODELS": json.dumps(BEDROCK), **other})


def test_every_variable_is_documented() -> None:
    names = set(re.findall(r'"([A-Z][A-Z_]{3,})"', inspect.getsource(settings_module)))
    documented = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/local.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(names)


@pytest.mark.parametrize(
    ("variables", "limit"),
    [
        ({}, 10),
        ({"PER_ENVIRONMENT": "4"}, 10),
        ({"PER_ENVIRONMENT": "64"}, 64),
        ({"PER_ENVIRONMENT": "64", "CONCURRENCY": "8"}, 8),
        ({"PER_ENVIRONMENT": "64", "CONCURRENCY": "100"}, 100),
    ],
)
def test_one_environment_may_be_full_unless_a_limit_is_given(variables: dict[str, str], limit: int) -> None:
    assert Settings.from_environment(variables).chat_concurrency == limit


def test_every_origin_may_be_allowed() -> None:
    assert Settings.from_environment({"CORS_ORIGINS": "*"}).cors_origins == "*"


def test_no_key_is_required_by_default() -> None:
    assert not Settings.from_environment({"AUTH": "off", "DEV_KEY": "key"}).auth


@pytest.mark.parametrize("key", ["sécret", "secret\n", " secret", "secret\x00"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(CannotStart, match="Expected DEV_KEY to be what a header can carry") as refused:
        Settings.from_environment({"DEV_KEY": key})
    assert "cret" not in str(refused.value)
