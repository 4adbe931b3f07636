"""The text of an API key: 256 random bits and a checksum, which shows that a key was mistyped, not revoked.

Shape:  `sk-`, 43 characters of base 62 for the bits, 6 for the CRC-32 of all that stands before.

Keys are random, so a plain SHA-256 keeps them safe: salts and slow hashes are for texts that can be guessed.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

_PREFIX = "sk-"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 43
_CHECKSUM = 6
_LENGTH = len(_PREFIX) + _RANDOM + _CHECKSUM
# A key in a text, but not what may be shown of it: sk-…Ab3d. One of ours is found within a word, too.
_IN_TEXT = re.compile(r"(?<![0-9A-Za-z])sk-[^\s'\"…]+|sk-[0-9A-Za-z]{49}")
# What is long enough to be a key, of ours or of someone else.
_LEAST_TO_REFUSE = 20
# Shorter keys were chosen by people, and their last characters would reveal too much.
_LEAST_TO_HINT = 20


class MistypedKey(ValueError):
    """A key of ours in which a character is wrong."""


def new_key() -> str:
    """Return a new key. It cannot be recovered: only its digest is kept."""
    text = _PREFIX + _base62(secrets.randbits(256), _RANDOM)
    return text + _checksum(text)


def check_key(text: str) -> None:
    """Refuse a key of ours whose checksum is wrong; a key of another form is not judged.

    Raises: MistypedKey.
    """
    if len(text) != _LENGTH:
        return
    right = text[-_CHECKSUM:] == _checksum(_PREFIX + text[len(_PREFIX) : -_CHECKSUM])
    if right != text.startswith(_PREFIX):
        raise MistypedKey("The key's checksum is wrong: a character was changed.")


def digest(text: str) -> str:
    """Return what is kept of a key: its SHA-256, in hex."""
    return hashlib.sha256(_encoded(text)).hexdigest()


def hint(text: str) -> str:
    """Return what may be shown of a key: `sk-…` and its last four characters."""
    shown = text[-4:] if len(text) >= _LEAST_TO_HINT else ""
    return f"{_PREFIX if text.startswith(_PREFIX) else ''}…{shown}"


def without_keys(text: str) -> str:
    """Return a text in which keys are replaced: `sk-…`."""
    return _IN_TEXT.sub(f"{_PREFIX}…", text)


def holds_key(text: str) -> bool:
    """Return whether there is something in a text that may be a key."""
    return any(len(found[0]) >= _LEAST_TO_REFUSE for found in _IN_TEXT.finditer(text))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(_encoded(text)), _CHECKSUM)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a header may hold halves of surrogate pairs


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
