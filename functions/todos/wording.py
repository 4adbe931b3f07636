"""graphql-core's errors in the words of GraphQL and JSON, which it has of Python at times."""

from __future__ import annotations

import ast
import json
import re

from graphql import GraphQLError

from .errors import ApiError

# These texts quote what they refuse, however long it is.
_MAX_TEXT = 500
_LONG_WORD = re.compile(r"(\S{60})\S{20,}")
# What follows is a variable's value as Python writes it; one in the document is quoted as it is there.
_VALUE = re.compile(r"(?s)(Variable '\$\w+' has invalid value.*?(?:value|[Ff]ound): )(.+)")
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(?:None|True|False|inf)\b""")
# The whole text where validation compares fields for too long.
_ABORTED = "Validation aborted."
_WORDS = {"None": "null", "True": "true", "False": "false", "inf": "Infinity"}


def text_of(error: GraphQLError) -> str:
    """Return an error's text, with the beginning of what it quotes."""
    if not isinstance(error.original_error, GraphQLError | ApiError | None):
        return "Expected a value of the type that is declared here, but got one that cannot be read as such."
    if error.message == _ABORTED:
        return "The operation is too large: it repeats too many fields. Request each once."
    text = re.sub(r" not to be None\.$", " not to be null.", error.message)
    if value := _VALUE.fullmatch(text):
        text = value[1] + _TOKEN.sub(lambda found: _json(found[0]), value[2])
    text = _LONG_WORD.sub(r"\1…", text)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _json(token: str) -> str:
    if token in _WORDS:
        return _WORDS[token]
    try:
        return json.dumps(ast.literal_eval(token), ensure_ascii=False)
    except (SyntaxError, ValueError):  # a text that is cut in an escape sequence
        return f'"{token[1:-1]}"'
