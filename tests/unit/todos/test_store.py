"""What the store does without a database. The rest is in `tests/integration/todos`."""

import importlib
import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.todos.store import PrismaStore, _literally, with_one_connection

ADDRESS = "postgresql://user:p%40ss%2Fw%3Ard%3F%23%25%2B@host:5432/todos"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ("", "connection_limit=1"),
        ("?", "connection_limit=1"),
        ("?schema=a", "connection_limit=1&schema=a"),
        ("?connection_limit=5", "connection_limit=5"),
        (
            "?sslmode=require&connect_timeout=3",
            "connection_limit=1&sslmode=require&connect_timeout=3",
        ),
        ("?options=-c%20a%3Db%26c", "connection_limit=1&options=-c+a%3Db%26c"),
        ("?empty=&schema=%C3%A9", "connection_limit=1&empty=&schema=%C3%A9"),
    ],
)
def test_one_connection_is_added_to_the_options_that_are_there(options: str, query: str) -> None:
    assert with_one_connection(ADDRESS + options) == f"{ADDRESS}?{query}"


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        "postgresql://user@host/todos",
        "postgres://host",
        "postgresql://user:a%20b+c@[::1]:5432/to%20dos",
        "postgresql://u:p@host:1/a-b_c",
    ],
)
def test_the_rest_of_an_address_stays_as_it_is(address: str) -> None:
    url = with_one_connection(address)
    assert url == f"{address}?connection_limit=1"
    assert parse_qs(urlsplit(url).query) == {"connection_limit": ["1"]}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", ""),
        ("plain é 😀 '\"", "plain é 😀 '\""),
        ("100%", "100\\%"),
        ("a_b", "a\\_b"),
        ("a\\b", "a\\\\b"),
        ("\\%_\\\\", "\\\\\\%\\_\\\\\\\\"),
    ],
)
def test_what_like_takes_for_a_wildcard_is_escaped(text: str, pattern: str) -> None:
    assert _literally(text) == pattern


def test_a_store_starts_nothing_before_it_is_opened_and_does_not_show_the_address() -> None:
    store = PrismaStore(ADDRESS, timeout_s=1)
    assert "p%40ss" not in repr(store)
    assert not store._client.is_connected()


def test_the_loggers_of_what_is_below_are_quiet() -> None:
    importlib.import_module("functions.todos.store")
    assert logging.getLogger("prisma").level == logging.getLogger("httpx").level == logging.WARNING
