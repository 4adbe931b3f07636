"""Who is let in."""

import hashlib

import pytest

from functions.shared.keys import KeyRefused, Keyring


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = {
    digest("sk-all"): frozenset[str](),
    digest("sk-one"): frozenset({"one"}),
    digest("your_api_key_here"): frozenset({"default"}),
}


@pytest.mark.parametrize("header", [None, "", "Bearer anything", "Basic eDp5", "\xff"])
def test_without_keys_everyone_is_let_in(header: str | None) -> None:
    assert Keyring({}).models_for(header) == frozenset()


@pytest.mark.parametrize(
    ("header", "models"),
    [
        ("Bearer sk-all", set()),
        ("bearer sk-all", set()),
        ("BEARER sk-all", set()),
        ("Bearer   sk-all", set()),
        ("Bearer sk-all ", set()),
        ("Bearersk-all", set()),
        ("Bearer sk-one", {"one"}),
        ("beareryour_api_key_here", {"default"}),
    ],
)
def test_a_known_key_is_let_in(header: str, models: set[str]) -> None:
    assert Keyring(KEYS).models_for(header) == models


@pytest.mark.parametrize(
    "header",
    [
        "Bearer sk-",
        "Bearer SK-ALL",
        "Bearer sk-all,sk-one",
        "Bearer sk-all sk-one",
        "Bearer",
        "Bearer ",
        f"Bearer {digest('sk-all')}",
        "Bearer \xe9\xff",
        "Bearer \x00",
        "Bearer " + "x" * 1_000_000,
        "Bearer Bearer sk-all",
    ],
    ids=lambda header: repr(header[:30]),
)
def test_an_unknown_key_is_not(header: str) -> None:
    with pytest.raises(KeyRefused, match="Incorrect API key") as raised:
        Keyring(KEYS).models_for(header)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("header", [None, "", " ", "Basic eDp5", "sk-all", "Token sk-all", "\xff"])
def test_no_key_is_told_apart(header: str | None) -> None:
    with pytest.raises(KeyRefused, match="didn't provide an API key"):
        Keyring(KEYS).models_for(header)


def test_a_refusal_never_quotes_the_key() -> None:
    with pytest.raises(KeyRefused) as raised:
        Keyring(KEYS).models_for("Bearer sk-canary")
    assert "canary" not in str(raised.value)
