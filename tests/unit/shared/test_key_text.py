"""The text of a key: random, checked, shown once."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared import key_text
from functions.shared.key_text import MistypedKey, check_key, digest, hint, holds_key, new_key, without_keys

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 3 + 43 + 6

bits = st.integers(0, 2**256 - 1)


@pytest.fixture(scope="module")
def key() -> str:
    return new_key()


def key_of(number: int) -> str:
    """Return the key of these random bits."""
    text = "sk-" + key_text._base62(number, 43)
    return text + key_text._checksum(text)


def test_a_key_has_its_form() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch("sk-[0-9A-Za-z]{49}", key) for key in keys)


@given(bits)
def test_a_key_holds_256_bits_and_passes(number: int) -> None:
    key = key_of(number)
    check_key(key)
    value = 0
    for character in key[3:46]:
        value = value * 62 + BASE62.index(character)
    assert value == number


def test_every_bit_is_random() -> None:
    """Of 200 keys, each bit is set in some and clear in others."""
    values = []
    for _ in range(200):
        value = 0
        for character in new_key()[3:46]:
            value = value * 62 + BASE62.index(character)
        values.append(value)
    every = all_set = values[0]
    for value in values:
        every |= value
        all_set &= value
    assert (every, all_set) == (2**256 - 1, 0)


@given(bits, st.integers(3, LENGTH - 1), st.characters())
def test_every_wrong_character_is_noticed(number: int, place: int, character: str) -> None:
    key = key_of(number)
    typed = key[:place] + character + key[place + 1 :]
    if typed == key:
        check_key(typed)
        return
    with pytest.raises(MistypedKey):
        check_key(typed)


def test_every_wrong_character_of_one_key_is_noticed(key: str) -> None:
    for place in range(3, LENGTH):
        for character in BASE62.replace(key[place], ""):
            with pytest.raises(MistypedKey):
                check_key(key[:place] + character + key[place + 1 :])


@given(bits, st.integers(3, LENGTH - 2))
def test_two_neighbours_that_changed_places_are_noticed(number: int, place: int) -> None:
    key = key_of(number)
    typed = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    if typed == key:
        return
    with pytest.raises(MistypedKey):
        check_key(typed)


@pytest.mark.parametrize("prefix", ["SK-", "sk_", "sj-", "ks-", "sk–"])
def test_a_wrong_prefix_is_noticed(key: str, prefix: str) -> None:
    with pytest.raises(MistypedKey):
        check_key(prefix + key[3:])


@given(st.one_of(st.text(), st.text().map("sk-".__add__), st.text(st.characters(categories=["Cs"]))))
def test_keys_of_other_forms_are_not_judged(text: str) -> None:
    if len(text) != LENGTH:
        check_key(text)


@pytest.mark.parametrize(
    "text",
    ["", "sk-", "your_api_key_here", "sk-all", "sk-proj-" + "a" * 156, "x" * LENGTH, "sk-" + "\ud800" * 48],
)
def test_examples_of_other_forms(text: str) -> None:
    check_key(text)


def test_what_is_said_of_a_mistake_does_not_quote_the_key(key: str) -> None:
    with pytest.raises(MistypedKey) as raised:
        check_key(key[:-1] + ("a" if key[-1] != "a" else "b"))
    assert key[3:-1] not in str(raised.value)


def test_a_digest_is_sha_256_in_hex() -> None:
    assert digest("your_api_key_here") == hashlib.sha256(b"your_api_key_here").hexdigest()


@given(st.text(st.characters(exclude_categories=[])))
def test_every_text_has_a_digest(text: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest(text))


def test_different_texts_that_utf_8_cannot_hold_have_different_digests() -> None:
    assert len({digest(text) for text in ("\ud800", "\udfff", "?", "")}) == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [("sk-" + "0" * 45 + "Ab3d", "sk-…Ab3d"), ("your_api_key_here", "…"), ("sk-abc", "sk-…"), ("", "…")],
)
def test_a_hint_shows_four_characters_of_a_long_key(text: str, shown: str) -> None:
    assert hint(text) == shown


@given(
    bits, st.text(alphabet="aZ9 .-_/:=\"'\n…é日", max_size=8), st.text(alphabet=" .-_/:=\"'\n…é", max_size=8)
)
def test_no_key_is_left_in_a_text(number: int, before: str, after: str) -> None:
    key = key_of(number)
    text = f"{before}{key}{after}"
    assert holds_key(text)
    assert key[3:] not in without_keys(text)


@pytest.mark.parametrize(
    "text", ["alice", "desk-42", "task-force", "sk-…Ab3d", "sk-", "risk-of-long-hyphenated-words"]
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert not holds_key(text)
    assert without_keys(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'sk-proj-abcdefghijklmnop' is wrong", "'sk-…' is wrong"),
        ("sk-short", "sk-…"),
        ('{"key":"sk-abc","id":1}', '{"key":"sk-…","id":1}'),
    ],
)
def test_keys_of_others_are_replaced_too(text: str, shown: str) -> None:
    assert without_keys(text) == shown
