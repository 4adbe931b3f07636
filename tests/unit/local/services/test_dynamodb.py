"""The local keys' database has the table that the functions expect."""

from functions.shared.items import SCHEMA
from infra.local.services.dynamodb import TABLE


def test_the_table_is_the_one_that_functions_expect() -> None:
    assert TABLE == SCHEMA
