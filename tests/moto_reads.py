"""Our reads of moto's DynamoDB in the process of a test, which gets moto's own back."""

import pytest
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb import responses
from moto.dynamodb.models import DynamoDBBackend, utilities


def keep_reads_of_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what `moto_queries.install` replaces put back after the test."""
    for owner, name in (
        (DynamoDBBackend, "query"),
        (utilities, "dynamo_to_dict"),
        (responses, "dynamo_to_dict"),
        (BaseJSONSerializer, "_serialize_type_map"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
