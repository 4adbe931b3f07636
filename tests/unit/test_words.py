"""The words of the project: which are found, and that the tree is free of them."""

from pathlib import Path

import pytest

from tests.tools import words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the front door", "front door"),
        ("# behind the front\n# door", "front door"),
        ("def tell_state(): ...", "tell"),
        ("class StateTeller: ...", "teller"),
        ("self._tellState()", "tell"),
        ("NOBODY = 1", "nobody"),
        ("nobody's credentials", "nobody"),
        ("a task that masks an indoor basket", None),
        ("Tell me a joke", None),
        ("encrypted at rest", None),
    ],
)
def test_words_are_found_in_text_and_in_identifiers(text: str, found: str | None) -> None:
    assert [each.word for each in words.findings_in("module.py", text)] == ([found] if found else [])


def test_a_finding_has_its_line() -> None:
    (found,) = words.findings_in("module.py", "one\n\n  two tells three\n")
    assert str(found) == "module.py:3  tells: two tells three"


def test_the_name_of_a_file_is_read_too() -> None:
    (found,) = words.findings_in("front_door.py", "")
    assert (found.line, found.word) == (0, "front door")


def test_an_exception_is_for_its_file() -> None:
    path, phrases = next((path, phrases) for path, phrases in words.EXCEPTIONS.items() if path != "*")
    assert list(words.findings_in(path, phrases[0])) == []
    assert list(words.findings_in("module.py", phrases[0])) != []


def test_exceptions_are_needed() -> None:
    unneeded = [
        (path, phrase)
        for path, phrases in words.EXCEPTIONS.items()
        for phrase in phrases
        if path != "*" and phrase not in Path(words.ROOT, path).read_text()
    ]
    assert unneeded == []


def test_the_tree_is_free_of_them() -> None:
    found = "\n".join(map(str, words.findings()))
    assert not found, f"expected none of these words (`python -m tests.tools.words`), but got:\n{found}"
