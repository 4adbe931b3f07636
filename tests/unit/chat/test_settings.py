"""Settings from the environment, and the errors for wrong ones."""

import json
from typing import Any

import pytest

from functions.chat.engines.kinds import ENGINES, NEVER
from functions.chat.settings import Settings
from functions.shared.environment import SettingsError

URL = "http://engine:8000/v1"
DIGEST = "ab" * 32
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:engine-AbCdEf"
SCALER = "arn:aws-cn:lambda:cn-north-1:123456789012:function:scaler"


def read(models: Any = None, **variables: str) -> Settings:
    table = {"tiny": {"base_url": URL}} if models is None else models
    return Settings.from_environment({"MODELS": json.dumps(table), **variables})


def test_one_model_is_enough() -> None:
    settings = read()
    (model,) = settings.models.values()
    assert (model.id, model.served_name, model.base_url, model.key) == ("tiny", "tiny", URL, None)
    assert (model.max_tokens_default, model.max_tokens_limit) == (1024, 4096)
    assert (model.key_secret, model.scaler, model.start_s) == (None, None, 420)
    assert (model.engine, model.developer_as_system) == ("vllm", False)
    assert model.extra_fields == model.media_hosts == frozenset()
    assert (settings.max_body_bytes, settings.max_event_bytes) == (4 * 1024 * 1024, 16 * 1024 * 1024)
    assert (settings.keep_alive_s, settings.keys) == (10.0, {})


def test_every_member_of_a_model_can_be_set() -> None:
    entry = {
        "base_url": URL + "/",
        "served_name": "/weights",
        "key_variable": "TINY_KEY",
        "max_tokens_default": 100,
        "max_tokens_limit": 50,
    }
    model = read({"tiny": entry}, TINY_KEY="sk-1").models["tiny"]
    assert (model.base_url, model.served_name, model.key) == (URL, "/weights", "sk-1")
    assert (model.max_tokens_default, model.max_tokens_limit) == (50, 50)


def test_what_an_engine_in_aws_needs_can_be_set() -> None:
    entry = {"base_url": URL, "key_secret": SECRET, "scaler": SCALER, "start_s": 90}
    model = read({"tiny": entry}).models["tiny"]
    assert (model.key, model.key_secret, model.scaler, model.start_s) == (None, SECRET, SCALER, 90)


def test_what_an_engine_reads_and_fetches_can_be_set() -> None:
    entry = {
        "base_url": URL,
        "engine": "llama.cpp",
        "extra_fields": ["grammar", "metadata"],
        "media_hosts": ["Images.example.com"],
        "developer_as_system": True,
    }
    model = read({"tiny": entry}).models["tiny"]
    assert model.kind is ENGINES["llama.cpp"]
    assert model.fields == ENGINES["llama.cpp"].fields | {"grammar", "metadata"}
    assert model.media_hosts == {"images.example.com"}
    assert model.developer_as_system


def test_what_a_model_serves_is_its_engine_s_or_set() -> None:
    table = {kind: {"base_url": URL, "engine": kind} for kind in ENGINES}
    vectors = {"base_url": URL, "serves": ["embeddings"], "dimensions": 384}
    models = read({**table, "vectors": vectors}).models
    chat_only = {name for name, model in models.items() if model.serves == {"chat"}}
    assert chat_only == {"bedrock", "litellm", "openai"}
    assert models["vllm"].serves == {"chat", "completions"}
    assert models["vectors"].serves == {"embeddings"}
    assert models["vectors"].dimensions == 384


@pytest.mark.parametrize("field", sorted(frozenset[str]().union(*NEVER.values())))
def test_no_setting_lets_through_what_the_gateway_cannot_count(field: str) -> None:
    with pytest.raises(SettingsError, match=f"MODELS: `extra_fields` of 'tiny' cannot have '{field}'"):
        read({"tiny": {"base_url": URL, "extra_fields": ["min_tokens", field]}})


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_is_sent_what_is_never_sent(engine: str) -> None:
    assert not ENGINES[engine].fields & frozenset[str]().union(*NEVER.values())


def test_the_order_of_models_is_kept() -> None:
    assert list(read({name: {"base_url": URL} for name in "zxy"}).models) == ["z", "x", "y"]


def test_models_may_answer_for_each_other_and_some_for_others_only() -> None:
    entry = {"base_url": URL}
    models = {
        "hidden": {**entry, "listed": False},
        "a": {**entry, "fallback": ["b", "hidden"]},
        "b": {**entry, "fallback": ["a"]},
    }
    settings = read(models)
    assert [model.fallback for model in settings.models.values()] == [(), ("b", "hidden"), ("a",)]
    assert (list(settings.listed), settings.default_model.id) == (["a", "b"], "a")


def test_a_list_of_fallbacks_has_each_once() -> None:
    entry = {"base_url": URL}
    with pytest.raises(SettingsError, match=r"`fallback` of 'a'.* but got 'b', .*the same again"):
        read({"a": {**entry, "fallback": ["b", "b"]}, "b": entry})


def test_a_fallback_serves_something_that_its_model_serves() -> None:
    vectors = {"base_url": URL, "serves": ["embeddings"]}
    with pytest.raises(SettingsError, match=r"`fallback` of 'a'.* but got 'b', which serves only embeddings"):
        read({"a": {"base_url": URL, "serves": ["chat"], "fallback": ["b"]}, "b": vectors})
    both = {"base_url": URL, "serves": ["chat", "embeddings"], "fallback": ["b"]}
    assert read({"a": both, "b": vectors}).models["a"].fallback == ("b",)


def test_one_model_at_least_can_be_named() -> None:
    with pytest.raises(SettingsError, match=r"MODELS: .*`listed`"):
        read({"a": {"base_url": URL, "listed": False}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta-llama/Llama-3.1:free@x", "meta-llama/Llama-3.1:free@x"),
        ("模型 1\r\n", "%E6%A8%A1%E5%9E%8B%201%0D%0A"),
        ("50%", "50%25"),
    ],
)
def test_any_name_of_a_model_fits_into_a_header(name: str, value: str) -> None:
    assert read({name: {"base_url": URL}}).models[name].header_value == value


@pytest.mark.parametrize(
    ("variable", "field", "text", "value"),
    [
        ("MAX_BODY_BYTES", "max_body_bytes", "2048", 2048),
        ("MAX_EVENT_BYTES", "max_event_bytes", "65536", 65536),
        ("MAX_MESSAGES", "max_messages", "1", 1),
        ("MAX_N", "max_n", "3", 3),
        ("KEEP_ALIVE_S", "keep_alive_s", "0.5", 0.5),
        ("CONNECT_TIMEOUT_S", "connect_timeout_s", "3", 3.0),
        ("STREAM_SILENCE_S", "stream_silence_s", "1e1", 10.0),
        ("REPLY_TIMEOUT_S", "reply_timeout_s", "86399", 86399.0),
        ("WARMING_TIMEOUT_S", "warming_timeout_s", "840", 840.0),
    ],
)
def test_numbers_are_read(variable: str, field: str, text: str, value: float) -> None:
    assert getattr(read(**{variable: text}), field) == value


COUNTS = ["MAX_BODY_BYTES", "MAX_EVENT_BYTES", "MAX_MESSAGES", "MAX_N"]
SECONDS = ["KEEP_ALIVE_S", "CONNECT_TIMEOUT_S", "STREAM_SILENCE_S", "REPLY_TIMEOUT_S", "WARMING_TIMEOUT_S"]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", " 1", "²", "1" * 5000])
def test_a_wrong_count_names_its_variable(text: str) -> None:
    for variable in COUNTS:
        with pytest.raises(SettingsError, match=f"{variable}: expected a whole number"):
            read(**{variable: text})


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "nan", "inf", "86400"])
def test_wrong_seconds_name_their_variable(text: str) -> None:
    for variable in SECONDS:
        with pytest.raises(SettingsError, match=f"{variable}: expected seconds"):
            read(**{variable: text})


@pytest.mark.parametrize("environ", [{}, {"MODELS": ""}, {"MODELS": "{}"}], ids=str)
def test_missing_models_are_explained(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"MODELS is missing: .*make run.*when deployed"):
        Settings.from_environment(environ)


@pytest.mark.parametrize("text", ["[]", '"x"', "null", "{", "1"])
@pytest.mark.parametrize("variable", ["MODELS", "API_KEYS"])
def test_a_value_that_is_not_an_object_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}: expected a JSON object"):
        read(**{variable: text})


NO_HOSTS = [
    "",
    "localhost",
    "10.0.0.1",
    "169.254.169.254",
    "0x7f.1",
    "[::1]",
    "images.example.com:443",
    "https://images.example.com",
    "images.example.com/",
    "*.example.com",
    "images.example.com.",
    "a@images.example.com",
    "bücher.example",
    "images.example.com\n",
]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (None, "base_url"),
        ("http://x", "base_url"),
        ({}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://[::1/v1"}, "base_url"),
        ({"base_url": "https://e.example/v1?key=k"}, "base_url"),
        ({"base_url": "http://localhost:1@e.example/v1", "credentials": "bedrock"}, "base_url"),
        ({"base_url": None}, "base_url"),
        ({"base_url": "engine:8000"}, "base_url"),
        ({"base_url": "ftp://engine"}, "base_url"),
        ({"base_url": ["http://x"]}, "base_url"),
        ({"base_url": URL, "max_tokens_limit": 0}, "max_tokens_limit"),
        ({"base_url": URL, "max_tokens_limit": "x"}, "max_tokens_limit"),
        ({"base_url": URL, "max_tokens_limit": None}, "max_tokens_limit"),
        ({"base_url": URL, "max_tokens_default": 1.5}, "max_tokens_default"),
        ({"base_url": URL, "max_tokens_default": True}, "max_tokens_default"),
        ({"base_url": URL, "served_name": 5}, "served_name"),
        ({"base_url": URL, "key_variable": 5}, "key_variable"),
        ({"base_url": URL, "key_variable": []}, "key_variable"),
        ({"base_url": URL, "key_variable": "NOT_THERE"}, "NOT_THERE"),
        ({"base_url": URL, "key_variable": "PATH", "key_secret": SECRET}, "key_secret"),
        ({"base_url": URL, "key_secret": "sk-plain"}, "key_secret"),
        ({"base_url": URL, "key_secret": SCALER}, "key_secret"),
        ({"base_url": URL, "key_secret": 5}, "key_secret"),
        ({"base_url": URL, "hedge_after_s": 2}, "hedge_after_s"),
        ({"base_url": URL, "hedge_after_s": 61, "fallback": ["b"]}, "hedge_after_s"),
        ({"base_url": URL, "hedge_after_s": "soon", "fallback": ["b"]}, "hedge_after_s"),
        ({"base_url": URL, "scaler": "tiny"}, "scaler"),
        ({"base_url": URL, "scaler": SCALER.replace("function:", "")}, "scaler"),
        ({"base_url": URL, "scaler": ["x"]}, "scaler"),
        ({"base_url": URL, "start_s": 0}, "start_s"),
        ({"base_url": URL, "start_s": "soon"}, "start_s"),
        ({"base_url": URL, "engine": "VLLM"}, "engine"),
        ({"base_url": URL, "engine": ["vllm"]}, "engine"),
        ({"base_url": URL, "engine": None}, "engine"),
        ({"base_url": URL, "extra_fields": "min_tokens"}, "extra_fields"),
        ({"base_url": URL, "extra_fields": [1]}, "extra_fields"),
        ({"base_url": URL, "extra_fields": ["N_Predict"]}, "extra_fields"),
        ({"base_url": URL, "extra_fields": ["MAX_TOKENS"]}, "extra_fields"),
        ({"base_url": URL, "extra_fields": ["min_tokens "]}, "extra_fields"),
        ({"base_url": URL, "extra_fields": [""]}, "extra_fields"),
        ({"base_url": URL, "media_hosts": "images.example.com"}, "media_hosts"),
        *(({"base_url": URL, "media_hosts": [host]}, "media_hosts") for host in NO_HOSTS),
        ({"base_url": URL, "developer_as_system": 1}, "developer_as_system"),
        ({"base_url": URL, "credentials": "role"}, "credentials"),
        ({"base_url": "https://a.example", "credentials": "bedrock", "key_secret": SECRET}, "no key"),
        ({"base_url": "http://a.example/v1", "credentials": "bedrock"}, "base_url"),
        ({"base_url": "http://127.0.0.1.example/v1", "credentials": "function_url"}, "base_url"),
        ({"base_url": URL, "serves": []}, "serves"),
        ({"base_url": URL, "engine": "bedrock", "serves": ["completions"]}, "serves"),
        ({"base_url": URL, "serves": ["responses"]}, "serves"),
        ({"base_url": URL, "serves": "chat"}, "serves"),
        ({"base_url": URL, "dimensions": 0}, "dimensions"),
        ({"base_url": URL, "template_tokens": -1}, "template_tokens"),
        ({"base_url": URL, "media_tokens": 0}, "media_tokens"),
        ({"base_url": URL, "prices": {"input": 1}}, "prices"),
        ({"base_url": URL, "listed": "no"}, "listed"),
        ({"base_url": URL, "fallback": "other"}, "fallback"),
        ({"base_url": URL, "fallback": ["tiny"]}, "fallback"),
        ({"base_url": URL, "fallback": ["missing"]}, "fallback"),
    ],
    ids=str,
)
def test_a_wrong_model_is_named_with_its_member(entry: Any, text: str) -> None:
    with pytest.raises(SettingsError, match=f"MODELS: .*{text}.*'tiny'|MODELS: .*'tiny'.*{text}"):
        read({"tiny": entry})


def test_prices_are_in_one_currency() -> None:
    dollars, euros = ({"input": 1, "output": 2, "currency": currency} for currency in ("USD", "EUR"))
    table: dict[str, Any] = {"a": {"base_url": URL, "prices": dollars}, "b": {"base_url": URL}}
    settings = read(table)
    assert (settings.currency, settings.models["b"].prices) == ("USD", None)
    assert read().currency is None
    table["b"]["prices"] = euros
    with pytest.raises(SettingsError, match=r"`prices` in one currency, but got EUR and USD\."):
        read(table)


def test_what_a_prompt_is_at_most_can_be_set() -> None:
    model = read({"tiny": {"base_url": URL, "template_tokens": 900, "media_tokens": 256}}).models["tiny"]
    assert (model.template_tokens, model.media_tokens) == (900, 256)
    assert (read().models["tiny"].template_tokens, read().models["tiny"].media_tokens) == (512, 16_384)


def test_keys_are_read_by_their_hash() -> None:
    settings = read(API_KEYS=json.dumps({DIGEST.upper(): ["tiny"], "cd" * 32: []}))
    assert settings.keys == {DIGEST: frozenset({"tiny"}), "cd" * 32: frozenset()}


@pytest.mark.parametrize(
    "table",
    [
        {"sk-plain": []},
        {DIGEST: "tiny"},
        {DIGEST: None},
        {DIGEST: [1]},
        {DIGEST: [["tiny"]]},
        {"zz" * 32: []},
        {DIGEST[:-1]: []},
    ],
    ids=str,
)
def test_wrong_keys_are_explained(table: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"API_KEYS: expected .*SHA-256"):
        read(API_KEYS=json.dumps(table))


def test_no_secret_is_shown() -> None:
    settings = read(
        {"tiny": {"base_url": URL, "key_variable": "K"}},
        K="sk-canary",
        API_KEYS=json.dumps({DIGEST: []}),
    )
    assert "canary" not in repr(settings)
    assert DIGEST not in repr(settings)
