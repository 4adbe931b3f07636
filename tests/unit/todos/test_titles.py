"""Titles: which texts are refused, and what is kept of the others."""

import json
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.todos.errors import BadUserInput
from functions.todos.titles import checked_part, checked_title, is_unseen
from functions.todos.todos import Filter, checked_filter

TITLES = {
    "as given": ("Test Todo", "Test Todo"),
    "trimmed": ("  \t\r\n Test Todo \v\f\x85\xa0\u2003", "Test Todo"),
    "spaces inside stay": ("a  b\u3000c", "a  b\u3000c"),
    "one character": ("x", "x"),
    "200 characters": ("x" * 200, "x" * 200),
    "200 and spaces": (" " * 300 + "x" * 200 + " " * 300, "x" * 200),
    "200 emoji": ("😀" * 200, "😀" * 200),
    "100 letters with an accent of their own": ("e\u0301" * 100, "é" * 100),
    "full width": ("Ｔｏｄｏ" * 50, "Ｔｏｄｏ" * 50),
    "a family": ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    "right to left": ("שלום (1)!", "שלום (1)!"),
    "quotes and wildcards": ("'\"\\%_`$1;--", "'\"\\%_`$1;--"),
    "of no character": ("\ufffe", "\ufffe"),
    "private": ("\ue000\U0010ffff", "\ue000\U0010ffff"),
}


@pytest.mark.parametrize(("title", "kept"), TITLES.values(), ids=TITLES)
def test_a_title_is_kept_trimmed(title: str, kept: str) -> None:
    assert checked_title(title) == kept


@pytest.mark.parametrize(
    ("title", "length"),
    [
        ("", 0),
        (" \t\n\u3000", 0),
        ("x" * 201, 201),
        ("😀" * 201, 201),
        ("e\u0301" * 201, 201),
        ("e\u0301" * 401, 802),
        ("字" * 1_000_000, 1_000_000),
    ],
    ids=["empty", "spaces", "201", "201 emoji", "201 accents", "401 accents", "a million"],
)
def test_a_title_has_1_to_200_characters(title: str, length: int) -> None:
    message = f"`title`: expected 1 to 200 characters after trimming, but got {length}."
    with pytest.raises(BadUserInput) as refused:
        checked_title(title)
    assert refused.value.message == message


REFUSED = [*range(0x20), *range(0x7F, 0xA0), 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x2028, 0x2029]


@pytest.mark.parametrize("code", REFUSED, ids=hex)
def test_what_does_not_belong_in_a_line_is_refused_with_its_place(
    code: int,
) -> None:
    for refuse, name in ((checked_title, "title"), (_filtered, "filter.title")):
        with pytest.raises(BadUserInput) as refused:
            refuse(f"ab{chr(code)}c")
        assert refused.value.message == (
            f"`{name}`: expected one line without control characters, but got U+{code:04X} at position 2."
        )


def _filtered(text: str) -> Filter:
    return checked_filter(Filter(title=text))


def test_the_text_of_a_filter_is_not_trimmed_and_may_be_empty() -> None:
    assert [checked_filter(Filter(title=text)).title for text in ("", " ", " x ")] == ["", " ", " x "]
    with pytest.raises(BadUserInput, match="expected at most 200 characters, but got 201"):
        checked_filter(Filter(title="x" * 201))


INVISIBLE = {
    "zero-width": "\u200b\u200c\u200d\u2060\ufeff",
    "soft hyphens": "\xad\xad",
    "marks of direction": "\u200e\u200f\u061c",
    "embeddings and isolates": "\u202a\u202e\u202c\u2066\u2069",
    "fillers of Hangul": "\u3164\u115f\u1160\uffa0",
    "Braille without dots": "\u2800\u2800",
    "tags": "\U000e0001\U000e0061\U000e007f",
    "variation selectors": "\ufe0f\U000e0100",
    "joiners of graphemes": "\u034f",
    "Khmer's inherent vowels": "\u17b4\u17b5",
    "Mongolian separators": "\u180e\u180b",
    "invisible operators": "\u2061\u2062\u2063\u2064",
    "reserved": "\u2065\ufff0\U000e0fff",
    "musical controls": "\U0001d173\U0001d159",
    "shorthand": "\U0001bca0",
    "annotations": "\ufff9\ufffa\ufffb",
    "spaces between": " \u200b\u3000\u2800 ",
}


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_what_cannot_be_seen_is_trimmed_and_no_title(text: str) -> None:
    assert checked_title(f"{text}buy {text[0]}milk{text}") in (f"buy {text[0]}milk", "buy milk")
    with pytest.raises(BadUserInput, match="expected 1 to 200 characters after trimming, but got 0"):
        checked_title(text)


@pytest.mark.parametrize(
    "text", ["\u0301", "\u20dd\u0308", "\u093e", "\u0301\u200b\u0301", "\U00016fe4"], ids=ascii
)
def test_combining_marks_alone_are_no_title(text: str) -> None:
    with pytest.raises(BadUserInput, match="expected something to read, but got combining marks alone"):
        checked_title(text)


WHOLE = {
    "a heart in colour": "❤\ufe0f",
    "the flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a variant of an ideograph": "葛\U000e0100",
    "half a letter in Hindi": "क्\u200d",
    "a virama that is seen": "क्\u200c",
    "a family": "👨\u200d👩\u200d👧",
    "Persian": "می\u200cخواهم",
    "a keycap": "1\ufe0f\u20e3",
    "a number sign of Arabic": "\u0600",
    "two flags": "🇩🇪🇫🇷",
    "punctuation": "?",
}


@pytest.mark.parametrize("title", WHOLE.values(), ids=WHOLE)
def test_what_belongs_to_the_last_sign_is_kept(title: str) -> None:
    assert checked_title(f"{title} ") == checked_title(f"\u200b{title}\u2060 \u3164") == title


def test_letters_of_english_have_no_variants() -> None:
    assert (
        checked_title("milk\ufe0f")
        == checked_title("milk\U000e0061")
        == checked_title("milk\u200d")
        == "milk"
    )


def test_what_reorders_the_text_around_a_title_is_left_out() -> None:
    assert checked_title("\u202bשלום") == "שלום"
    assert checked_title("call \u202a+1 234\u202c now") == "call +1 234 now"
    assert checked_title("pay \u202e001\u202c, \u2067a\u2069") == "pay 001, a"
    assert checked_part("\u202a+1 234\u202c") == "+1 234"
    assert checked_title("a\u200fb") == "a\u200fb"


def test_titles_and_what_is_searched_for_are_in_nfc() -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, "Café tiệm 한국 Å")
        assert checked_title(text) == checked_part(text) == unicodedata.normalize("NFC", text)
    assert checked_title("ｆｕｌｌ ﬁ ²") == "ｆｕｌｌ ﬁ ²"
    assert checked_part("e\u0301" * 200) == "é" * 200


def test_a_hostile_text_takes_no_time() -> None:
    """Marks in the wrong order take quadratic time to sort; so does a regular expression that trims."""
    for text in ("\u0323\u0301" * 25_000, "x" + "\u200b" * 50_000 + "x", "\u0301" * 100_000):
        with pytest.raises(BadUserInput):
            checked_title(text)
        with pytest.raises(BadUserInput):
            checked_part(text)


@given(
    st.text(
        st.sampled_from("ae\u0301\u200b\u200d\ufe0f❤ \u202e\u2069\u3164क्\U000e0067\U000e007f1"), max_size=9
    )
)
def test_what_is_kept_is_kept_again_and_can_be_seen(text: str) -> None:
    try:
        title = checked_title(text)
    except BadUserInput:
        return
    assert checked_title(title) == title
    assert not is_unseen(title[0])
    assert any(character.isalnum() or character in "❤" for character in title)


def test_the_ranges_are_those_of_unicode() -> None:
    """Node.js has ICU's data. All that Unicode calls ignorable is in; all else that is in is listed here."""
    script = """
        const is = /^\\p{Default_Ignorable_Code_Point}$/u, all = Array(0x110000).keys();
        console.log(JSON.stringify([...all].filter((code) => is.test(String.fromCodePoint(code)))));
    """
    ignorable = json.loads(subprocess.check_output(["node", "-e", script]))
    others = [0x2800, *range(0xFFF9, 0xFFFC), *range(0x13430, 0x13443), 0x1D159]
    spaces = [code for code in range(0x110000) if chr(code).isspace()]
    assert {code for code in range(0x110000) if is_unseen(chr(code))} == {*ignorable, *others, *spaces}
