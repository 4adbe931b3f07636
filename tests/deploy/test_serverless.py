"""The stage serverless, by `make deploy` and `make destroy`: each test continues from the one before."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.deploy.account import ID, REGION, ROOT, Account
from tests.deploy.deployment import Deployment
from tests.deploy.toolkit import ORIGIN, Toolkit
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("deploy")]
MODEL, SERVED = "gpt-oss-20b", "openai.gpt-oss-20b-1:0"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Which is the capital?"}]}
MIGRATIONS = ROOT / "functions" / "todos" / "prisma" / "migrations"
CHAT_OUTPUTS = ("ApiUrl", "ChatUrl")
TODO_OUTPUTS = ("ApiUrl", "TodosUrl")
MUTATION = "mutation ($title: String!) { createTodo(title: $title) { id title } }"


@pytest.fixture(scope="module")
def bedrock(bedrock_port: int) -> Iterator[ScriptedEngine]:
    with scripted_engine(models=(SERVED,), port=bedrock_port) as bedrock:
        yield bedrock


@pytest.fixture(scope="module")
def deployed(account: Account, serverless_toolkit: Toolkit, bedrock: ScriptedEngine) -> str:  # noqa: ARG001
    """What `make deploy` prints of a first deployment, which ends with its smoke test."""
    # The local AWS lacks things that the doctor looks for.
    status, printed = serverless_toolkit.program("infra.deploy", YES="1", FORCE="1")
    assert status == 0, f"{printed}\n{account.log_tail()}"
    return printed


@pytest.fixture(scope="module")
def stage(account: Account, serverless_toolkit: Toolkit, deployed: str) -> Deployment:  # noqa: ARG001
    return Deployment(account, serverless_toolkit, "serverless")


def test_a_deployment_without_a_terminal_needs_yes(account: Account, serverless_toolkit: Toolkit) -> None:
    status, printed = serverless_toolkit.program("infra.deploy")
    assert (status, list(account.stacks())) == (1, ["CDKToolkit"])
    assert "make deploy STAGE=serverless YES=1" in printed


def test_what_make_deploy_prints(stage: Deployment, deployed: str) -> None:
    assert f"Stage serverless, in account {ID}, region {REGION}:" in deployed
    assert f"There is no GPU: prompts go to Amazon Bedrock in {REGION} (model {SERVED})" in deployed
    rows = re.findall(r"^\[(\d)/4\] +(\w+) +(\d+) resources", deployed, re.MULTILINE)
    assert [(number, name) for number, name, _ in rows] == [
        (str(number), name) for number, name in enumerate(stage.stacks, 1)
    ]
    assert re.search(rf"^  ApiUrl +{re.escape(stage.outputs['ApiUrl'])}$", deployed, re.MULTILINE)
    assert "Exports" not in deployed
    smoke = re.findall(r"^  (ok|failed) +(.+?) +[\d.]+ s", deployed, re.MULTILINE)
    assert [state for state, _ in smoke] == ["ok"] * 7
    assert f"answered by {MODEL}" in deployed
    assert "sk-" not in deployed


def test_every_resource_of_the_templates_is_there(stage: Deployment) -> None:
    stage.assert_complete()


def test_deploying_again_changes_nothing(stage: Deployment) -> None:
    status, printed = stage.toolkit.program("infra.deploy", YES="1", FORCE="1", SMOKE="0")
    assert status == 0, printed
    assert re.findall(r"^\[\d/4\] +(\w+) +no changes", printed, re.MULTILINE) == stage.stacks


def test_there_are_no_differences(stage: Deployment) -> None:
    assert "Number of stacks with differences: 0" in stage.toolkit.run("diff", "--all")


def test_a_smoke_test_that_fails_says_where_to_look(stage: Deployment) -> None:
    status, printed = stage.toolkit.program("infra.smoke", KEY="sk-unknown")
    assert status == 1
    assert re.search(r"^  failed +models .*invalid_api_key", printed, re.MULTILINE)
    assert re.search(r"look at: aws logs tail \S*ChatFunctionLog\S* --since 15m", printed)
    assert "sk-unknown" not in printed


def test_the_database_is_migrated(stage: Deployment, postgres: Postgres) -> None:
    assert stage.outputs["KeysTable"] in stage.account.client("dynamodb").list_tables()["TableNames"]
    done = postgres.run_sql("SELECT migration_name FROM _prisma_migrations ORDER BY 1", "todos").split("\n")
    assert done == sorted(path.name for path in MIGRATIONS.iterdir() if path.is_dir())


def test_the_todo_function_signs_in_as_a_user_of_its_own(stage: Deployment, postgres: Postgres) -> None:
    with stage.client("ApiUrl", stage.key) as client:
        assert client.post("graphql", json={"query": "{ todos { id } }"}).json() == {"data": {"todos": []}}
    connected = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'todos'"
    assert "todos_function" in postgres.run_sql(connected, "postgres").split("\n")
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'todos_function'"
    assert postgres.run_sql(rights, "postgres") == "f"


@pytest.mark.parametrize("key", [None, "sk-none"], ids=["none", "unknown"])
@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_no_key(stage: Deployment, output: str, key: str | None) -> None:
    with stage.client(output, key) as client:
        reply = client.get("v1/models")
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_a_completion(stage: Deployment, bedrock: ScriptedEngine, output: str) -> None:
    with stage.client(output, stage.key) as client:
        assert [model["id"] for model in client.get("v1/models").json()["data"]] == [MODEL]
        reply = client.post("v1/chat/completions", json=CHAT)
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["finish_reason"] == "stop"
    request = bedrock.requests[-1]
    assert (request.path, request.fields["model"]) == ("/openai/v1/chat/completions", SERVED)
    # tests/integration/chat checks the token's signature: here its secret is ministack's own.
    token = request.headers["authorization"].removeprefix("Bearer bedrock-api-key-")
    assert f"%2F{REGION}%2Fbedrock%2Faws4_request" in base64.b64decode(token).decode()


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_a_stream(stage: Deployment, output: str) -> None:
    with stage.client(output, stage.key) as client:
        reply = client.post("v1/chat/completions", json=CHAT | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


def test_the_pages_links_lead_back_to_the_stage(stage: Deployment) -> None:
    with stage.client("ApiUrl") as client:
        assert "/serverless/openapi.json" in client.get("docs").text
        page = client.get("", headers={"accept": "text/html"})
        assert '<base href="/serverless/">' in page.text
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', page.text)
        assert client.get(script).headers["content-type"].startswith("text/javascript")


def test_a_function_may_do_only_what_it_is_granted(stage: Deployment) -> None:
    """Without its policy the chat function can do nothing: it has no other permissions."""
    iam = stage.account.client("iam")
    with revoked(iam, role_of(stage, "ChatFunction")), stage.client("ApiUrl", f"sk-{'a' * 50}") as client:
        assert client.get("v1/models").status_code == 503
    with stage.client("ApiUrl", stage.key) as client:
        assert client.get("v1/models").status_code == 200


def role_of(stage: Deployment, function: str) -> str:
    names = [name for name in stage.resources("AWS::IAM::Role") if f"-{function}Role" in name]
    assert len(names) == 1, names
    return names[0]


@contextmanager
def revoked(iam: Any, role: str) -> Iterator[None]:
    """Take all policies from a role for as long as the context lasts."""
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policies = {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    assert policies
    for name in policies:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        yield
    finally:
        for name, policy in policies.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


@pytest.mark.parametrize("output", TODO_OUTPUTS)
def test_todos(stage: Deployment, postgres: Postgres, output: str) -> None:
    title = f"Buy milk by {output}"
    with stage.client(output, stage.key) as client:
        made = client.post("graphql", json={"query": MUTATION, "variables": {"title": title}}).json()
        listed = client.post("graphql", json={"query": "{ todos { id title } }"}).json()
    assert made["data"]["createTodo"]["title"] == title
    assert made["data"]["createTodo"] in listed["data"]["todos"]
    assert title in postgres.run_sql('SELECT title FROM "Todo"', "todos").split("\n")


def test_an_update(stage: Deployment) -> None:
    printed = stage.toolkit.run("deploy", "--all", "--require-approval", "never", cors_origins=ORIGIN)
    assert "✅  ChatbotServerlessData (no changes)" in printed
    with stage.client("ApiUrl", stage.key) as client:
        headers = client.get("v1/models", headers={"origin": ORIGIN}).headers
        todos = client.post("graphql", json={"query": "{ todos { title } }"}).json()["data"]["todos"]
    assert headers["access-control-allow-origin"] == ORIGIN
    assert len(todos) == len(TODO_OUTPUTS)


def test_destroying_leaves_only_what_was_there_before(stage: Deployment, postgres: Postgres) -> None:
    status, printed = stage.toolkit.program("infra.deploy.destroy", YES="1")
    assert status == 0, printed
    assert [line.split()[1] for line in printed.splitlines() if " destroyed " in line] == stage.stacks[::-1]
    assert list(stage.account.stacks()) == ["CDKToolkit"]
    assert "todos" not in postgres.run_sql("SELECT datname FROM pg_database", "postgres").split("\n")
    left = stage.account.inventory("serverless")
    assert {kind: names for kind, names in left.items() if names} == {
        # API Gateway's role for logs belongs to the account; Lambda itself made the log of CDK's function.
        "roles": [name for name in left["roles"] if "CloudWatchRole" in name],
        "logs": [name for name in left["logs"] if "AWSCDKTrigger" in name],
    }
