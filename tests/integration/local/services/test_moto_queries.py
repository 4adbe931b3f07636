"""Moto's DynamoDB with our reads returns what it returns without them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.shared.items import SCHEMA
from infra.local.services import moto_queries
from infra.local.settings import REGION
from tests.aws import dummy_credentials
from tests.moto_reads import keep_reads_of_moto

NAME = "keys"
ITEMS: list[dict[str, Any]] = [
    {"pk": {"S": pk}, "sk": {"S": f"{sk:02}"}, "n": {"N": str(sk)}, "x#y": {"BOOL": sk > 5}}
    for pk in ("a", "b", "c#1")
    for sk in (3, 10, 1, 7, 12, 0)
]
ITEMS += [
    {"pk": {"S": "odd"}, "sk": {"S": "1"}, "set": {"SS": ["x", "y"]}, "null": {"NULL": True}},
    {"pk": {"S": "odd"}, "sk": {"S": "2"}, "numbers": {"NS": ["1", "2.5"]}, "empty": {"S": ""}},
    {"pk": {"S": "odd"}, "sk": {"S": "3"}, "list": {"L": [{"M": {"a": {"N": "-1"}, "b": {"B": b"\xff"}}}]}},
    {"pk": {"S": "odd"}, "sk": {"S": "4"}, "binary": {"B": b"\x00\xff"}, "binaries": {"BS": [b"\x01"]}},
    {"pk": {"S": "odd"}, "sk": {"S": "5é🦆"}, "S": {"S": "N"}, "map": {"M": {}}},
]
PARTITION: dict[str, Any] = {
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "b"}},
}


def ranged(condition: str, **values: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": f"pk = :pk AND {condition}",
        "ExpressionAttributeValues": {
            ":pk": {"S": "b"},
            **{f":{name}": {"S": value} for name, value in values.items()},
        },
    }


QUERIES: list[dict[str, Any]] = [
    PARTITION,
    {**PARTITION, "ExpressionAttributeValues": {":pk": {"S": "odd"}}},
    {**PARTITION, "ExpressionAttributeValues": {":pk": {"S": "none"}}},
    {**PARTITION, "Limit": 2},
    {**PARTITION, "Limit": 4, "ScanIndexForward": False},
    {**PARTITION, "Limit": 9, "ConsistentRead": True},
    {**PARTITION, "ProjectionExpression": "n"},
    {**PARTITION, "FilterExpression": "#n > :pk", "ExpressionAttributeNames": {"#n": "sk"}},
    {**PARTITION, "Select": "COUNT"},
    ranged("begins_with(sk, :sk)", sk="1"),
    ranged("sk BETWEEN :from AND :to", **{"from": "03", "to": "11"}),
    {**ranged("sk BETWEEN :from AND :to", **{"from": "01", "to": "10"}), "Limit": 2},
    ranged("sk > :sk", sk="07"),
    ranged("sk <= :sk", sk="07"),
    ranged("sk = :sk", sk="07"),
]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in dummy_credentials(REGION).items():
        monkeypatch.setenv(name, value)
    keep_reads_of_moto(monkeypatch)
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(TableName=NAME, **SCHEMA)
        for item in ITEMS:
            client.put_item(TableName=NAME, Item=item)
        yield client


def pages(client: Any, query: dict[str, Any]) -> list[Any]:
    """Return the counts and items of all responses of a query; moto has an empty one where no more match."""
    found: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        response = client.query(TableName=NAME, **query, **start)
        if response["Count"] or not found:
            found += [response["Count"], response["ScannedCount"], response.get("Items")]
        if "LastEvaluatedKey" not in response:
            return found
        start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}


def read(client: Any) -> list[Any]:
    places = [{name: item[name] for name in ("pk", "sk")} for item in ITEMS]
    update = {
        "Key": places[0],
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "5"}},
    }
    written = client.update_item(TableName=NAME, ReturnValues="ALL_NEW", **update)
    batch = client.batch_get_item(
        RequestItems={NAME: {"Keys": [*places, {"pk": {"S": "-"}, "sk": {"S": "-"}}]}}
    )
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as refused:
        client.put_item(
            TableName=NAME,
            Item=ITEMS[1],
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    return [
        *(pages(client, query) for query in QUERIES),
        sorted(batch["Responses"][NAME], key=str),
        [client.get_item(TableName=NAME, Key=place).get("Item") for place in places],
        written["Attributes"],
        refused.value.response["Item"],
        client.scan(TableName=NAME)["Items"],
    ]


def test_reads_are_those_of_moto(client: Any) -> None:
    before = read(client)
    assert sum(len(each) for each in before[0][2::3]) == 6
    moto_queries.install()
    for at, (ours, theirs) in enumerate(zip(read(client), before, strict=True)):
        assert ours == theirs, QUERIES[at] if at < len(QUERIES) else at


def test_a_response_holds_at_most_a_megabyte(client: Any) -> None:
    for number in range(12):
        item = {"pk": {"S": "b"}, "sk": {"S": f"x{number:02}"}, "text": {"S": "x" * 199_000}}
        client.put_item(TableName=NAME, Item=item)
    moto_queries.install()
    for forward in (True, False):
        counts = pages(client, {**ranged("begins_with(sk, :sk)", sk="x"), "ScanIndexForward": forward})[::3]
        assert counts == [5, 5, 2]
