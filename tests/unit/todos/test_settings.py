"""Each variable of the todo function, and what is said of each mistake."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import pytest

from functions.shared.environment import SettingsError
from functions.todos.limits import Limits
from functions.todos.settings import Settings

URL = "postgresql://todos:pass%40word@localhost:5432/todos"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:todos-AbCdEf"
DIGEST = hashlib.sha256(b"key").hexdigest()


def read(**variables: str) -> Settings:
    return Settings.from_environment({"DATABASE_URL": URL, **variables})


def test_an_address_is_enough() -> None:
    settings = read()
    assert settings == Settings(database_url=URL)
    assert (settings.keys, settings.introspection, settings.graphiql) == ({}, True, None)
    assert (settings.keys_table, settings.dynamodb_endpoint) == (None, None)
    assert (settings.database_secret, settings.database_ca, settings.cors_origins) == (None, None, ())
    assert (settings.query_timeout_s, settings.limits) == (5, Limits())


def test_every_setting_has_a_variable() -> None:
    settings = read(
        API_KEYS=json.dumps({DIGEST.upper(): ["tiny"]}),
        KEYS_TABLE="keys",
        DYNAMODB_ENDPOINT="http://localhost:5000",
        CORS_ORIGINS="https://a.example",
        DATABASE_SECRET=ARN,
        DATABASE_CA="/opt/rds-ca.pem",
        INTROSPECTION="off",
        GRAPHIQL="/somewhere",
        QUERY_TIMEOUT_S="0.5",
        MAX_BODY_BYTES="1",
        MAX_TOKENS="2",
        MAX_DEPTH="3",
        MAX_ALIASES="4",
        MAX_ROOT_FIELDS="5",
        MAX_COST="6",
    )
    assert settings == Settings(
        database_secret=ARN,
        database_ca=Path("/opt/rds-ca.pem"),
        cors_origins=("https://a.example",),
        keys={DIGEST: frozenset({"tiny"})},
        keys_table="keys",
        dynamodb_endpoint="http://localhost:5000",
        introspection=False,
        graphiql=Path("/somewhere"),
        query_timeout_s=0.5,
        limits=Limits(
            max_body_bytes=1, max_tokens=2, max_depth=3, max_aliases=4, max_root_fields=5, max_cost=6
        ),
    )
    given = (*fields(settings), *fields(Limits))
    assert len(given) == 11 + 6, "expected this test to know every setting"


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        (URL, URL),
        (f" {URL}\n", URL),
        (URL.replace("postgresql", "postgres"), URL),
        ("postgresql://u:pa$word$$x@h/d?schema=a", "postgresql://u:pa%24word%24%24x@h:5432/d?schema=a"),
        ("postgresql:///todos?host=/tmp", "postgresql://localhost:5432/todos?host=%2Ftmp"),
    ],
)
def test_an_address_of_postgres_is_read_once(url: str, normalised: str) -> None:
    assert read(DATABASE_URL=url).database_url == normalised


@pytest.mark.parametrize(("graphiql", "introspection"), [("", "on"), ("", "")])
def test_empty_and_on_are_the_defaults(graphiql: str, introspection: str) -> None:
    absent = read(API_KEYS="", KEYS_TABLE="", DYNAMODB_ENDPOINT="")
    assert read(GRAPHIQL=graphiql, INTROSPECTION=introspection) == absent == read()


def test_a_secret_wins_over_an_address_which_need_not_be_there() -> None:
    both, alone = read(DATABASE_SECRET=ARN), read(DATABASE_SECRET=ARN, DATABASE_URL="")
    assert both == alone
    assert (both.database_secret, both.database_url) == (ARN, "")
    assert read(DATABASE_SECRET="").database_url == URL


def mistake(**variables: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(**variables)
    return str(refused.value)


@pytest.mark.parametrize(
    "url", ["", "mysql://u:pass%40word@h/d", "pass%40word", "postgresql://u:pass%40word@h:x/d"]
)
def test_a_wrong_address_is_reported_without_its_password(url: str) -> None:
    message = mistake(DATABASE_URL=url)
    assert message.startswith("DATABASE_URL is ")
    assert ": expected " in message
    assert "`make run` sets it" in message
    assert "pass%40word" not in message


@pytest.mark.parametrize("secret", ['{"password": "hush"}', "hush", " arn:x"])
def test_a_text_that_is_no_arn_is_reported_without_being_quoted(secret: str) -> None:
    message = mistake(DATABASE_SECRET=secret)
    assert message.startswith("DATABASE_SECRET: expected the ARN of a secret")
    assert secret not in message


def test_a_missing_address_is_reported() -> None:
    with pytest.raises(
        SettingsError, match="DATABASE_URL is missing: expected a URL that begins with postgresql://"
    ):
        Settings.from_environment({})


NUMBERS = ("MAX_BODY_BYTES", "MAX_TOKENS", "MAX_DEPTH", "MAX_ALIASES", "MAX_ROOT_FIELDS", "MAX_COST")


@pytest.mark.parametrize("variable", NUMBERS)
@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "x", " 1", "1e3", "9" * 19])
def test_a_wrong_limit_is_reported_by_its_name(variable: str, text: str) -> None:
    assert mistake(**{variable: text}) == (
        f"{variable}: expected a whole number of at least 1, but got {text!r}."
    )


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "x", "86400"])
def test_a_wrong_time_limit_is_reported(text: str) -> None:
    assert (
        mistake(QUERY_TIMEOUT_S=text)
        == f"QUERY_TIMEOUT_S: expected seconds above 0 and below 86400, but got {text!r}."
    )


@pytest.mark.parametrize("text", ["true", "ON", "0"])
def test_a_wrong_switch_is_reported(text: str) -> None:
    assert mistake(INTROSPECTION=text) == f"INTROSPECTION: expected on or off, but got {text!r}."


@pytest.mark.parametrize(
    "text", ["{", "[]", '"x"', '{"short": []}', f'{{"{DIGEST}": "tiny"}}', f'{{"{DIGEST}": [1]}}']
)
def test_wrong_keys_are_reported(text: str) -> None:
    message = mistake(API_KEYS=text)
    assert message.startswith("API_KEYS: expected ")
    assert DIGEST not in message


def test_neither_the_password_nor_the_keys_are_shown() -> None:
    shown = repr(read(API_KEYS=json.dumps({DIGEST: []})))
    assert "pass%40word" not in shown
    assert "localhost" not in shown
    assert DIGEST not in shown
