"""The stage prod: deployed, called, protected; and what is kept of it. In this order."""

import re
from collections.abc import Iterator

import pytest

from tests.deploy.account import ID, REGION, SECRET, Account
from tests.deploy.clients import Signature
from tests.deploy.deployment import Deployment, deploy
from tests.deploy.toolkit import Toolkit
from tests.engines.scripted import scripted_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("deploy")]
MODEL = "Qwen/Qwen3-8B"


@pytest.fixture(scope="module")
def prod(account: Account, prod_toolkit: Toolkit, engine_port: int) -> Iterator[Deployment]:
    with scripted_engine(models=(MODEL,), port=engine_port):
        yield deploy(account, prod_toolkit, "prod")


def test_every_resource_of_the_templates_is_there(prod: Deployment) -> None:
    prod.assert_complete()


def test_its_requests(prod: Deployment) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with prod.client("ApiUrl", prod.key) as client:
        assert client.post("v1/chat/completions", json=body).status_code == 200
        assert client.post("graphql", json={"query": "{ todos { id } }"}).json() == {"data": {"todos": []}}
        index = client.get("", headers={"accept": "text/html"}).json()
        assert "chat" not in index, "expected no page in this stage"


@pytest.mark.parametrize("output", ["ChatUrl", "TodosUrl"])
def test_a_function_url_refuses_requests_without_a_signature(prod: Deployment, output: str) -> None:
    with prod.client(output, prod.key) as client:
        assert client.get("v1/models").status_code == 403


def test_a_function_url_takes_a_signature_and_a_key(prod: Deployment) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    with prod.client("ChatUrl", prod.key) as client:
        reply = client.post("v1/chat/completions", json=body, auth=Signature(ID, SECRET, REGION))
    assert reply.status_code == 200, reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


def test_what_keeps_data_is_not_destroyed(prod: Deployment) -> None:
    network, data, supply, *others = prod.stacks
    printed = prod.toolkit.refusal("destroy", "--all", "--force")
    assert "cannot be deleted while TerminationProtection is enabled" in printed
    assert set(prod.account.stacks()) == {"CDKToolkit", network, data, supply}
    assert all(f"✅  {name}: destroyed" in printed for name in others)


def test_what_is_kept_after_all(prod: Deployment) -> None:
    _, data, *_ = prod.stacks
    tables = [prod.outputs["KeysTable"]]
    prod.account.client("cloudformation").update_termination_protection(
        StackName=data, EnableTerminationProtection=False
    )
    prod.toolkit.run("destroy", "--all", "--force")
    assert list(prod.account.stacks()) == ["CDKToolkit"]
    left = prod.account.inventory("prod")
    assert left.pop("tables") == tables
    assert prod.account.client("dynamodb").scan(TableName=tables[0], Select="COUNT")["Count"] > 0
    assert {kind: sorted(map(without_hashes, names)) for kind, names in left.items() if names} == KEPT


KEPT = {
    "buckets": ["chatbotprodsupply-supplymodels"],
    # The last is made by Lambda itself, of the CDK's own function.
    "logs": [
        "/aws/cloudformation/ChatbotProdApi/ChatFunctionLog",
        "/aws/cloudformation/ChatbotProdApi/FrontDoorAccessLog",
        "/aws/cloudformation/ChatbotProdApi/MigrationsLog",
        "/aws/cloudformation/ChatbotProdApi/TodosFunctionLog",
        "/aws/lambda/ChatbotProdApi-AWSCDKTriggerCustomResourceProvider",
    ],
    "registries": ["chatbotprodsupply-supplyregistry"],
    # API Gateway's role for logs, which belongs to the account.
    "roles": ["ChatbotProdApi-FrontDoorApiCloudWatchRole"],
    "snapshots": ["chatbotproddata-database"],
}
_HASHES = re.compile(r"(C|[0-9A-F]{8}-)?[0-9A-F]{8,13}(-final-snapshot)?$", re.IGNORECASE)


def without_hashes(name: str) -> str:
    """Return a name without what CDK and CloudFormation make it unique with."""
    return _HASHES.sub("", name)
