"""A key that somebody chose, for a table that is not AWS's: people's keys can be guessed, new ones cannot.

It comes in a variable: a command line can be read by everybody on the machine.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from functions.shared.key_text import MistypedKey, check_key

from .errors import UsageError
from .place import Place


def own_key(arguments: Namespace, place: Place, environ: Mapping[str, str]) -> str | None:
    """Return the key that `--key-from-env` leads to, None where a new one is wanted.

    Raises: UsageError, which does not quote it.
    """
    variable: str | None = getattr(arguments, "key_from_env", None)
    if variable is None:
        return None
    if not place.endpoint_url:
        raise UsageError(
            "Expected --key-from-env only with --endpoint (or DYNAMODB_ENDPOINT), for a table on this"
            " machine: a key that somebody chose can be guessed. Leave it out, and a new key is made."
        )
    text = environ.get(variable, "")
    if not (text and text.isascii() and text.isprintable() and text == text.strip()):
        raise UsageError(
            f"Expected {variable} to hold a key, of printable ASCII without space around it, but got"
            f" {'something else' if text else 'nothing'}."
        )
    try:
        check_key(text)
    except MistypedKey as error:
        raise UsageError(
            f"Expected {variable} to hold a key, but got one with a typing mistake in it."
        ) from error
    return text
