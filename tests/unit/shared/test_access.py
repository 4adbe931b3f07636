"""The keyring and the table of a function, by its settings."""

import asyncio
import subprocess
import sys

import pytest

from functions.shared.access import Access
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.key_text import digest
from functions.shared.keys import KeyRefused
from functions.shared.settings import AccessSettings, access_from

KEYS = {digest("alice"): frozenset[str]()}


def test_without_keys_any_caller_is_accepted() -> None:
    access = Access(AccessSettings(), Aws(Boto()))
    access.warm()
    assert access.table is None
    assert asyncio.run(access.keyring.authenticate(None)) is None


def test_keys_that_are_set_are_accepted_and_no_others() -> None:
    access = Access(AccessSettings(keys=KEYS), Aws(Boto()))
    assert access.table is None
    assert asyncio.run(access.keyring.authenticate("Bearer alice"))
    with pytest.raises(KeyRefused):
        asyncio.run(access.keyring.authenticate("Bearer bob"))


def test_a_table_wins_over_keys_that_are_set() -> None:
    access = Access(AccessSettings(keys=KEYS, keys_table="keys"), Aws(Boto()))
    assert access.table
    assert access.keyring._store is access.table


def test_the_variables_are_read_once_for_both_functions() -> None:
    environ = {
        "API_KEYS": f'{{"{digest("alice")}": []}}',
        "KEYS_TABLE": "keys",
        "DYNAMODB_ENDPOINT": "http://localhost:5000",
        "CORS_ORIGINS": "*",
    }
    assert AccessSettings(**access_from(environ)) == AccessSettings(
        keys=KEYS, keys_table="keys", dynamodb_endpoint="http://localhost:5000", cors_origins=("*",)
    )
    empty = dict.fromkeys(environ, "")
    assert AccessSettings(**access_from(empty)) == AccessSettings(**access_from({})) == AccessSettings()


def test_nothing_that_starts_slowly_is_imported_before_it_is_needed() -> None:
    """boto3 is imported in a thread, once a function has started; click and rich are the keys command's."""
    code = "import sys, functions.shared.access; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore", "click", "rich"} & set(done.stdout.split())
