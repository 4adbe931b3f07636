import pytest

from infra.local.errors import CannotStart
from infra.local.services import models


def test_a_backends_models_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_fetch", lambda *_: b'{"data": [{"id": "b"}, {"id": "a"}]}')
    table = models.backend_models("http://a/v1", "key")
    assert list(table) == ["b", "a"]
    assert table["a"] == {
        "base_url": "http://a/v1",
        "max_tokens_default": 1024,
        "max_tokens_limit": 32768,
        "key_variable": "BACKEND_KEY",
    }


@pytest.mark.parametrize(
    ("owner", "engine"),
    [
        ('"vllm"', "vllm"),
        ('"llamacpp"', "llama.cpp"),
        ('"sglang"', "sglang"),
        ('"library"', "ollama"),
        ('"openai"', "openai"),
        ('"system"', "openai"),
        ('"organization_owner"', None),
        ('"a/model"', None),
        ("null", None),
        ("7", None),
    ],
)
def test_the_kind_of_engine_is_what_its_list_of_models_says(
    owner: str, engine: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        models, "_fetch", lambda *_: f'{{"data": [{{"id": "a", "owned_by": {owner}}}]}}'.encode()
    )
    monkeypatch.setattr(models, "_has_route", lambda *_: False)
    assert models.backend_models("http://a/v1", "")["a"].get("engine") == engine


@pytest.mark.parametrize("document", [b"<html>", b"[]", b"{}", b'{"data": [1]}', b'{"data": []}'])
def test_what_is_no_list_of_models_cannot_start(document: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_fetch", lambda *_: document)
    with pytest.raises(CannotStart, match="models"):
        models.backend_models("http://a/v1", "")


def table(names: str, base_url: str = "http://a/v1") -> models.Models:
    return {name: {"base_url": base_url} for name in names}


def test_the_fallback_of_a_model_has_its_name_or_is_the_first() -> None:
    joined = models.with_fallbacks(table("ab"), table("xbz", "http://b/v1"))
    assert {name: entry.get("fallback") for name, entry in joined.items()} == {
        "a": ["x"],
        "b": ["fallback/b"],
        "x": None,
        "fallback/b": None,
    }
    assert joined["fallback/b"] == {"base_url": "http://b/v1", "served_name": "b", "listed": False}


def test_a_first_fallback_that_has_a_models_name_keeps_them_apart() -> None:
    joined = models.with_fallbacks(table("ab"), table("b", "http://b/v1"))
    assert [joined[name]["fallback"] for name in "ab"] == [["fallback/b"]] * 2
    assert joined["b"]["base_url"] == "http://a/v1"


def test_without_others_the_table_stays() -> None:
    assert models.with_fallbacks(table("ab")) == table("ab")
