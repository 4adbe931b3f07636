"""Titles: what is kept of a text, and what is refused.

Source: Unicode, DerivedCoreProperties.txt, from memory; a test compares the ranges with those of Node.js.
"""

from __future__ import annotations

import unicodedata

from .errors import BadUserInput

MAX_TITLE = 200
# Control characters; halves of surrogate pairs, which UTF-8 cannot encode; separators of lines and of
# paragraphs, after which Prisma's client would indent the text.
_REFUSED = ("Cc", "Cs", "Zl", "Zp")
# Bidi_Class of embeddings, overrides, isolates and their ends: they reorder what a page shows around a title.
_DIRECTIONAL = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
# Ranges of Default_Ignorable_Code_Point but the largest, U+E0000 to U+E0FFF; then signs that are drawn as
# nothing: interlinear annotations, Braille without dots, joiners and blanks of hieroglyphs, a note
# without a head.
_UNSEEN = frozenset(
    chr(code)
    for first, last in (
        (0xAD, 0xAD),
        (0x34F, 0x34F),
        (0x61C, 0x61C),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF0, 0xFFFB),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0x2800, 0x2800),
        (0x13430, 0x13442),
        (0x1D159, 0x1D159),
    )
    for code in range(first, last + 1)
)
# NFC makes at most four code points one.
_NFC_SHRINKS = 4
_VIRAMA = 9


def checked_title(text: str) -> str:
    """Return a title as it is stored: trimmed, in NFC, without what reorders the text around it.

    Raises: BadUserInput.
    """
    title = normalised(_trimmed(_undirected(text)))
    if not 1 <= len(title) <= MAX_TITLE:
        raise BadUserInput(
            f"`title`: expected 1 to {MAX_TITLE} characters after trimming, but got {len(title)}."
        )
    _check_characters(title, "title")
    if all(is_unseen(character) or unicodedata.category(character)[0] == "M" for character in title):
        raise BadUserInput("`title`: expected something to read, but got combining marks alone.")
    return title


def checked_part(text: str) -> str:
    """Return a text that a title is to contain, in the form of titles. It is not trimmed.

    Raises: BadUserInput.
    """
    part = normalised(_undirected(text))
    if len(part) > MAX_TITLE:
        raise BadUserInput(f"`filter.title`: expected at most {MAX_TITLE} characters, but got {len(part)}.")
    _check_characters(part, "filter.title")
    return part


def normalised(text: str) -> str:
    """Return a text in NFC, unless it is too long for a title in any form: that takes quadratic time."""
    return text if len(text) > _NFC_SHRINKS * MAX_TITLE else unicodedata.normalize("NFC", text)


def _undirected(text: str) -> str:
    if text.isascii():
        return text
    return "".join(each for each in text if unicodedata.bidirectional(each) not in _DIRECTIONAL)


def _trimmed(text: str) -> str:
    """Remove what cannot be seen from both ends, except what belongs to the last character that can be."""
    start, end = 0, len(text)
    while start < end and is_unseen(text[start]):
        start += 1
    while start < end and is_unseen(text[end - 1]):
        end -= 1
    if start < end:
        while end < len(text) and _belongs(text[end], text[end - 1]):
            end += 1
    return text[start:end]


def is_unseen(character: str) -> bool:
    """Return whether a character is white space, or drawn as nothing."""
    return character.isspace() or character in _UNSEEN or "\U000e0000" <= character <= "\U000e0fff"


def _belongs(character: str, before: str) -> bool:
    """Return whether a character changes how the one before it is drawn.

    These are variation selectors and tags after a sign, and joiners after a virama.
    """
    if character in "\u200c\u200d":
        return unicodedata.combining(before) == _VIRAMA
    selects = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    selects |= character in "\u180b\u180c\u180d\u180f" or "\U000e0020" <= character <= "\U000e007f"
    return selects and not before.isascii()


def _check_characters(text: str, name: str) -> None:
    for position, character in enumerate(text):
        if unicodedata.category(character) in _REFUSED:
            raise BadUserInput(
                f"`{name}`: expected one line without control characters, but got "
                f"U+{ord(character):04X} at position {position}."
            )
