"""A JSON schema that values are held against by the thousand.

`jsonschema-rs` says whether a value is valid. `jsonschema`, which is slow, says what is wrong with one that
is not: it finds the member that is meant where a schema allows several forms.
"""

from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


class Definition:
    """One of the `$defs` of a document."""

    def __init__(self, name: str, definitions: dict[str, Any]) -> None:
        self._name = name
        self._schema = {"$ref": f"#/$defs/{name}", "$defs": definitions}
        self._validator = jsonschema_rs.Draft202012Validator(self._schema)

    def check(self, value: object) -> None:
        """Return if a value is as defined.

        Raises: AssertionError: where it is not, and what was expected there.
        """
        if self._validator.is_valid(value):
            return
        error = best_match(Draft202012Validator(self._schema).iter_errors(value))
        assert error, f"expected the two validators to agree on a {self._name}, but got {value!r}"
        raise AssertionError(f"expected a {self._name}, but got at {error.json_path}: {error.message}")
