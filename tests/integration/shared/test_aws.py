"""AWS's clients, and secrets as moto's Secrets Manager has them."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from functions.shared.aws import Aws, AwsError, Service
from functions.shared.boto import Boto, BotoClient
from functions.shared.clock import Clock
from functions.shared.secrets import KNOWN_S, Secrets, SecretsUnavailable
from functions.shared.table import Table
from tests.integration.shared.conftest import NAME


class Counting(Boto):
    """Counts the clients that it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def client(self, name: str, *options: Any) -> BotoClient:
        self.made.append(name)
        return super().client(name, *options)


def test_a_client_is_made_once_for_all_threads(moto: None) -> None:  # noqa: ARG001
    clients = Counting()
    table = Table(NAME, aws=Aws(clients))
    table.warm()
    threads = [threading.Thread(target=lambda: table._service.client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clients.made == ["dynamodb"]


def test_services_share_what_takes_time_to_load(moto: None) -> None:  # noqa: ARG001
    clients = Boto()
    aws = Aws(clients)
    _ = aws.service("dynamodb").client
    session = clients._session
    _ = aws.service("ecs").client
    assert clients._session is session


def test_a_service_may_have_an_address_and_a_timeout_of_its_own(moto: None) -> None:  # noqa: ARG001
    url = "https://lambda.us-east-1.api.aws"
    made = Boto(longer=2).client("lambda", url, 15)
    assert (made.boto.meta.endpoint_url, made.boto.meta.config.read_timeout) == (url, 30)


def test_items_are_left_as_they_were_received(server: str, any_aws: Aws) -> None:
    service = any_aws.service("dynamodb", endpoint_url=server)
    place = {"pk": {"S": "left"}, "sk": {"S": "é"}}
    item = {**place, "n": {"N": "1.5"}, "set": {"SS": ["x"]}, "b": {"BOOL": True}}
    service.call("put_item", TableName=NAME, Item=item)
    response = service.call("get_item", TableName=NAME, Key=place)
    assert response["Item"] == item
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    batch = service.call("batch_get_item", RequestItems={NAME: {"Keys": [place]}})
    assert batch["Responses"] == {NAME: [item]}
    with pytest.raises(AwsError) as raised:
        service.call(
            "put_item",
            TableName=NAME,
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert raised.value.response["Item"] == item
    service.call("delete_item", TableName=NAME, Key=place)


def test_an_error_has_its_code_and_its_response(server: str, any_aws: Aws) -> None:
    with pytest.raises(AwsError) as raised:
        any_aws.service("dynamodb", endpoint_url=server).call("describe_table", TableName="nope")
    assert str(raised.value) == raised.value.code == "ResourceNotFoundException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert raised.value.__cause__ is None


def test_draining_waits_for_all_work_that_was_started(moto: None) -> None:  # noqa: ARG001
    clients = Counting()
    aws = Aws(clients)
    free, done = threading.Event(), list[str]()

    def work() -> None:
        assert free.wait(5)
        done.append("work")

    aws.start(work)
    table = Table(NAME, aws=aws)
    table.warm()
    threading.Timer(0.05, free.set).start()
    aws.drain()
    assert (done, clients.made) == (["work"], ["dynamodb"])


def test_drained_services_open_new_connections(server: str) -> None:
    """After a snapshot, connections from before it are dead."""
    aws = Aws(Boto())
    table = Table(NAME, aws=aws, endpoint_url=server)
    assert asyncio.run(table.key("unknown")) is None
    client: Any = table._service.client
    pools = client.boto._endpoint.http_session._manager.pools
    assert len(pools) == 1
    aws.drain()
    assert len(pools) == 0
    assert asyncio.run(table.key("unknown")) is None
    aws.drain()


def test_closing_what_was_never_opened_is_fine() -> None:
    Aws(Boto()).service("dynamodb").close()


# secrets


@pytest.fixture
def manager(moto: None) -> Iterator[Service]:  # noqa: ARG001
    manager = Aws(Boto()).service("secretsmanager")
    yield manager
    manager.close()


def value_of(secrets: Secrets, arn: str) -> str:
    return asyncio.run(secrets.value(arn))


def test_a_secret_is_its_current_text(manager: Service) -> None:
    arn = manager.call("create_secret", Name="engine", SecretString="one")["ARN"]
    at = [0.0]
    secrets = Secrets(Aws(Boto()), clock=Clock(lambda: at[0], lambda: at[0]))
    assert value_of(secrets, arn) == "one"
    manager.call("put_secret_value", SecretId=arn, SecretString="two")
    assert value_of(secrets, arn) == "one"
    at[0] = KNOWN_S
    assert value_of(secrets, arn) == "two"
    manager.call("delete_secret", SecretId=arn)
    at[0] += KNOWN_S
    assert value_of(secrets, arn) == "two", "better than none"


def test_a_secret_that_is_missing_or_no_text_is_an_error(manager: Service) -> None:
    arn = manager.call("create_secret", Name="engine", SecretBinary=b"one")["ARN"]
    for missing, code in (
        (arn, "NoSecretString"),
        (arn.replace("engine", "other"), "ResourceNotFoundException"),
    ):
        with pytest.raises(SecretsUnavailable, match=f"^{code}$"):
            value_of(Secrets(Aws(Boto())), missing)


def test_a_secret_is_fetched_before_it_is_needed(manager: Service) -> None:
    arn = manager.call("create_secret", Name="engine", SecretString="one")["ARN"]
    secrets = Secrets(Aws(Boto()))
    secrets.warm(arn)
    assert value_of(secrets, arn) == "one"
