"""The stage dev, from the first deployment to the last: each test continues from the one before."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.deploy.account import ROOT, Account
from tests.deploy.deployment import Deployment, deploy
from tests.deploy.toolkit import Toolkit
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("deploy")]
MODEL = "Qwen/Qwen3-8B"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Which is the capital?"}]}
MIGRATIONS = ROOT / "functions" / "todos" / "prisma" / "migrations"
CHAT_OUTPUTS = ("ApiUrl", "ChatUrl")
TODO_OUTPUTS = ("ApiUrl", "TodosUrl")


@pytest.fixture(scope="module")
def dev(account: Account, dev_toolkit: Toolkit) -> Deployment:
    return deploy(account, dev_toolkit, "dev")


@pytest.fixture
def engine(engine_port: int) -> Iterator[ScriptedEngine]:
    with scripted_engine(models=(MODEL,), port=engine_port) as engine:
        yield engine


def test_every_resource_of_the_templates_is_there(dev: Deployment) -> None:
    dev.assert_complete()


def test_deploying_again_changes_nothing(dev: Deployment) -> None:
    printed = dev.toolkit.run("deploy", "--all", "--require-approval", "never")
    assert [line for line in printed.splitlines() if "✅" in line] == [
        f"✅  {name} (no changes)" for name in dev.stacks
    ]


def test_there_are_no_differences(dev: Deployment) -> None:
    assert "Number of stacks with differences: 0" in dev.toolkit.run("diff", "--all")


def test_the_database_is_migrated(dev: Deployment, postgres: Postgres) -> None:
    assert dev.outputs["KeysTable"] in dev.account.client("dynamodb").list_tables()["TableNames"]
    done = postgres.run_sql("SELECT migration_name FROM _prisma_migrations ORDER BY 1", "todos").split("\n")
    assert done == sorted(path.name for path in MIGRATIONS.iterdir() if path.is_dir())


def test_the_todo_function_signs_in_as_a_user_of_its_own(dev: Deployment, postgres: Postgres) -> None:
    with dev.client("ApiUrl", dev.key) as client:
        assert client.post("graphql", json={"query": "{ todos { id } }"}).json() == {"data": {"todos": []}}
    connected = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'todos'"
    assert "todos_function" in postgres.run_sql(connected, "postgres").split("\n")
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'todos_function'"
    assert postgres.run_sql(rights, "postgres") == "f"


def test_the_task_runs_its_image_by_digest(dev: Deployment) -> None:
    ecs = dev.account.client("ecs")
    (arn,) = ecs.list_task_definitions()["taskDefinitionArns"]
    containers = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
    assert {each["image"].partition("@")[2] for each in containers} == {f"sha256:{'0' * 64}"}


def test_health(dev: Deployment) -> None:
    # ministack itself serves this path of a Function URL.
    with dev.client("ApiUrl") as client:
        assert client.get("health").json() == {"status": "ok"}


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_models(dev: Deployment, output: str) -> None:
    with dev.client(output, dev.key) as client:
        assert [model["id"] for model in client.get("v1/models").json()["data"]] == [MODEL]


@pytest.mark.parametrize("key", [None, "sk-none"], ids=["none", "unknown"])
@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_no_key(dev: Deployment, output: str, key: str | None) -> None:
    with dev.client(output, key) as client:
        reply = client.get("v1/models")
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_a_completion(dev: Deployment, engine: ScriptedEngine, output: str) -> None:
    with dev.client(output, dev.key) as client:
        reply = client.post("v1/chat/completions", json=CHAT)
    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["finish_reason"] == "stop"
    assert engine.requests[-1].headers["authorization"] == f"Bearer {dev.engine_key()}"


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
@pytest.mark.usefixtures("engine")
def test_a_stream(dev: Deployment, output: str) -> None:
    with dev.client(output, dev.key) as client:
        reply = client.post("v1/chat/completions", json=CHAT | {"stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


def test_the_pages_links_lead_back_to_the_stage(dev: Deployment) -> None:
    with dev.client("ApiUrl") as client:
        assert "/dev/openapi.json" in client.get("docs").text
        page = client.get("", headers={"accept": "text/html"})
        assert '<base href="/dev/">' in page.text
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', page.text)
        assert client.get(script).headers["content-type"].startswith("text/javascript")


def test_scaling_from_zero(dev: Deployment, engine_port: int) -> None:
    """A stream starts the engine and is held until it responds; other requests are refused for now."""
    assert dev.desired_tasks() == 0
    with ThreadPoolExecutor() as threads, dev.client("ChatUrl", dev.key) as client:
        pending = threads.submit(client.post, "v1/chat/completions", json=CHAT | {"stream": True})
        wait_until(lambda: dev.desired_tasks() == 1, within_s=20)
        refused = client.post("v1/chat/completions", json=CHAT)
        with scripted_engine(models=(MODEL,), port=engine_port):
            streamed = pending.result(20)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_warming")
    assert 5 <= int(refused.headers["retry-after"]) <= 120
    assert streamed.status_code == 200
    assert streamed.text.endswith("data: [DONE]\n\n")


def test_a_function_may_do_only_what_it_is_granted(dev: Deployment) -> None:
    """Without its policy the chat function can do nothing: it has no other permissions."""
    iam = dev.account.client("iam")
    with revoked(iam, role_of(dev, "ChatFunction")), dev.client("ApiUrl", f"sk-{'a' * 50}") as client:
        assert client.get("v1/models").status_code == 503
    with dev.client("ApiUrl", dev.key) as client:
        assert client.get("v1/models").status_code == 200


def role_of(dev: Deployment, function: str) -> str:
    names = [name for name in dev.resources("AWS::IAM::Role") if f"-{function}Role" in name]
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


def wait_until(condition: Callable[[], object], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"expected it within {within_s} s"
        time.sleep(0.1)


@pytest.mark.parametrize("output", TODO_OUTPUTS)
def test_todos(dev: Deployment, postgres: Postgres, output: str) -> None:
    title = f"Buy milk by {output}"
    with dev.client(output, dev.key) as client:
        made = client.post("graphql", json={"query": MUTATION, "variables": {"title": title}}).json()
        listed = client.post("graphql", json={"query": "{ todos { id title } }"}).json()
    assert made["data"]["createTodo"]["title"] == title
    assert made["data"]["createTodo"] in listed["data"]["todos"]
    assert title in postgres.run_sql('SELECT title FROM "Todo"', "todos").split("\n")


MUTATION = "mutation ($title: String!) { createTodo(title: $title) { id title } }"


def test_an_update(dev: Deployment) -> None:
    origin = "https://app.example.com"
    printed = dev.toolkit.run("deploy", "--all", "--require-approval", "never", cors_origins=origin)
    assert "✅  ChatbotDevData (no changes)" in printed
    with dev.client("ApiUrl", dev.key) as client:
        headers = client.get("v1/models", headers={"origin": origin}).headers
        todos = client.post("graphql", json={"query": "{ todos { title } }"}).json()["data"]["todos"]
    assert headers["access-control-allow-origin"] == origin
    assert len(todos) == len(TODO_OUTPUTS)


def test_destroying_leaves_only_what_was_there_before(dev: Deployment, postgres: Postgres) -> None:
    dev.toolkit.run("destroy", "--all", "--force")
    assert list(dev.account.stacks()) == ["CDKToolkit"]
    assert "todos" not in postgres.run_sql("SELECT datname FROM pg_database", "postgres").split("\n")
    left = dev.account.inventory("dev")
    assert {kind: names for kind, names in left.items() if names} == {
        # API Gateway's role for logs belongs to the account; Lambda itself made the log of CDK's function.
        "roles": [name for name in left["roles"] if "CloudWatchRole" in name],
        "logs": [name for name in left["logs"] if "AWSCDKTrigger" in name],
    }
