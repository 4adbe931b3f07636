"""`make run AUTH=on`: every request needs a key, and a first key is created."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from functions.shared.key_text import new_key
from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Guardian
from infra.local.services import dynamodb
from infra.local.services.dynamodb import LOG_FILE, DynamoDb
from infra.local.services.dynamodb_server import OneAtATime
from infra.paths import ROOT
from tests import launch
from tests.engines.scripted import ScriptedEngine
from tests.local_service import LocalService, run_local

TODOS = {"query": "{ todos { id } }"}


@pytest.fixture(scope="module")
def with_auth(shared_engine: ScriptedEngine) -> Iterator[LocalService]:
    with run_local(BACKEND=shared_engine.base_url, AUTH="on") as local:
        yield local


def statuses(local: LocalService, authorization: str | None) -> list[int]:
    """Send a request to both functions; return the statuses."""
    with local.service.client() as client:
        client.headers.pop("authorization")
        headers = {"authorization": authorization} if authorization else {}
        return [
            client.get("/v1/models", headers=headers).status_code,
            client.post("/graphql", json=TODOS, headers=headers).status_code,
        ]


def database(children: Iterable[psutil.Process]) -> psutil.Process:
    return next(child for child in children if "infra.local.services.dynamodb_server" in child.cmdline())


def test_a_request_without_a_key_or_with_another_is_refused_by_both_functions(
    with_auth: LocalService,
) -> None:
    assert statuses(with_auth, None) == [401, 401]
    assert statuses(with_auth, f"Bearer {new_key()}") == [401, 401]


def test_both_functions_accept_the_key_that_was_printed(with_auth: LocalService) -> None:
    assert with_auth.service.key.startswith("sk-")
    assert statuses(with_auth, f"Bearer {with_auth.service.key}") == [200, 200]


def test_the_command_that_was_printed_lists_the_key(with_auth: LocalService) -> None:
    command = with_auth.banner.partition("manage keys:\n")[2].partition("Try it:")[0].strip()
    listed = subprocess.run(
        ("sh", "-c", command), cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    )
    assert "development" in listed.stdout
    assert with_auth.service.key not in listed.stdout


def test_the_key_is_in_the_banner_and_nowhere_else(with_auth: LocalService) -> None:
    statuses(with_auth, f"Bearer {with_auth.service.key}")
    shown = with_auth.out.wait_for(lambda text: "POST /graphql  200" in text)
    assert shown.count(with_auth.service.key) == 2, "its own line, and that of curl"
    assert with_auth.service.key not in LOG_FILE.read_text()
    assert not [each for each in with_auth.processes() if with_auth.service.key in " ".join(each.cmdline())]


def test_it_all_stays_on_loopback(with_auth: LocalService) -> None:
    assert with_auth.listening() == {"127.0.0.1"}


def test_the_documents_key_works_as_the_document_sends_it(shared_engine: ScriptedEngine) -> None:
    with run_local(BACKEND=shared_engine.base_url, AUTH="on", DEV_KEY="your_api_key_here") as local:
        assert local.service.key == "your_api_key_here"
        assert statuses(local, "beareryour_api_key_here") == [200, 200]
        assert statuses(local, "beareryour_api_key_here2") == [401, 401]
        assert statuses(local, None) == [401, 401]


def test_without_auth_there_is_no_database_of_keys_and_no_request_needs_one(
    shared_engine: ScriptedEngine,
) -> None:
    with run_local(BACKEND=shared_engine.base_url, AUTH="off", DEV_KEY="key") as local:
        with pytest.raises(StopIteration):
            database(local.processes())
        assert statuses(local, None) == [200, 200]
        assert "KEYS_TABLE" not in local.functions()[0].environ()


@pytest.mark.slow
def test_the_end_of_the_database_is_reported_known_keys_still_work_and_what_they_use_can_be_replayed(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    with run_local(BACKEND=engine.base_url, AUTH="on") as local:
        key = f"Bearer {local.service.key}"
        assert statuses(local, key) == [200, 200]
        kept = items(variables_of(local))
        database(local.processes()).kill()
        local.out.wait_for(lambda text: "The keys' database ended (signal SIGKILL), and all keys" in text)
        assert statuses(local, key) == [200, 200]
        assert statuses(local, f"Bearer {new_key()}") == [503, 503]
        with local.service.client() as client:
            messages = [{"role": "user", "content": "hello"}]
            reply = client.post("/v1/chat/completions", json={"model": "default", "messages": messages})
        assert reply.status_code == 200
        shown = local.out.wait_for(lambda text: 'chat | {"usage":' in text)
    assert asyncio.run(replayed(shown, kept, tmp_path)) == [reply.headers["x-request-id"]]


def variables_of(local: LocalService) -> dict[str, str]:
    """Return the variables with which the banner says to call the keys command."""
    printed = re.search(r"^ +(KEYS_TABLE=.*?) \\$", local.banner, re.MULTILINE)
    assert printed, local.banner
    return dict(part.split("=", 1) for part in printed[1].split())


def client_of(environment: Mapping[str, str]) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=environment["DYNAMODB_ENDPOINT"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def items(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    with closing(client_of(environment)) as client:
        return list(client.scan(TableName="keys")["Items"])


async def replayed(log: str, kept: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Replay what a terminal showed into a table that was restored; return the requests that it has then."""
    with Guardian() as guardian:
        database = DynamoDb(guardian, Console(), log_file=folder / "log")
        await database.start()
        try:
            with closing(client_of(database.environment)) as client:
                for item in kept:
                    await asyncio.to_thread(client.put_item, TableName="keys", Item=item)
            replay = (sys.executable, "-m", "functions.keys", "replay", "-")
            done = await asyncio.to_thread(
                subprocess.run,
                replay,
                cwd=ROOT,
                env=os.environ | database.environment,
                input=log,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            stored = await asyncio.to_thread(items, database.environment)
            return [item["request_id"]["S"] for item in stored if "request_id" in item]
        finally:
            await database.stop()


def test_a_key_with_a_typing_mistake_is_not_created_and_not_shown() -> None:
    key = new_key()
    mistyped = key[:-1] + ("0" if key[-1] != "0" else "1")
    process = launch.start(PORT="0", AUTH="on", DEV_KEY=mistyped)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output.startswith("The development key cannot be created. ")
    assert mistyped not in output
    assert "Traceback" not in output


def test_a_database_that_does_not_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dynamodb.TABLE, "KeySchema", [])
    log = tmp_path / "log"

    async def start() -> None:
        with Guardian() as guardian:
            await DynamoDb(guardian, Console(), log_file=log).start()

    with pytest.raises(CannotStart, match=f"database did not start \\(exit status 1\\). Its log: {log}"):
        asyncio.run(start())
    assert "ValidationException" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_a_start_that_is_interrupted(number: signal.Signals, after_s: float) -> None:
    process = launch.start(PORT="0", AUTH="on")
    while not psutil.Process(process.pid).children():  # the guardian, which from here on cleans up
        time.sleep(0.01)
    time.sleep(after_s)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    output, _ = process.communicate(timeout=5)
    left = psutil.wait_procs(children, timeout=2)[1]
    assert not [each for each in left if each.status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in output


def test_a_transaction_that_is_cancelled_changes_nothing_and_other_credentials_reach_nothing(
    tmp_path: Path,
) -> None:
    def item(name: str) -> dict[str, Any]:
        return {"pk": {"S": "a"}, "sk": {"S": name}}

    def change(environment: dict[str, str]) -> list[Any]:
        with closing(client_of(environment)) as client:
            client.put_item(TableName="keys", Item={**item("sum"), "n": {"N": "1"}})
            add = {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "5"}}}
            with pytest.raises(client.exceptions.TransactionCanceledException):
                client.transact_write_items(
                    TransactItems=[
                        {"Update": {"TableName": "keys", "Key": item("sum"), **add}},
                        {"Update": {"TableName": "keys", "Key": item("new"), **add}},
                        {"Put": {"TableName": "keys", "Item": item("put")}},
                        {
                            "ConditionCheck": {
                                "TableName": "keys",
                                "Key": item("none"),
                                "ConditionExpression": "attribute_exists(pk)",
                            }
                        },
                    ]
                )
            return list(client.scan(TableName="keys")["Items"])

    async def run() -> list[Any]:
        with Guardian() as guardian:
            database = DynamoDb(guardian, Console(), log_file=tmp_path / "log")
            await database.start()
            try:
                others = {**database.environment, "AWS_ACCESS_KEY_ID": "local"}
                with pytest.raises(ClientError, match="UnrecognizedClientException"):
                    await asyncio.to_thread(change, others)
                return await asyncio.to_thread(change, database.environment)
            finally:
                await database.stop()

    assert asyncio.run(run()) == [{**item("sum"), "n": {"N": "1"}}]


class Overlapping:
    """An application that counts how many requests it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ARG002
        self.now += 1
        self.most = max(self.most, self.now)
        threading.Event().wait(0.01)
        self.now -= 1
        return [b"reply"]


def test_the_database_handles_one_request_at_a_time() -> None:
    """Moto has no lock of its own: it was seen to accept 506 conditional updates where 500 were allowed."""
    app = Overlapping()
    serial = OneAtATime(app)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: serial({}, None), range(16)))
    assert replies == [[b"reply"]] * 16
    assert app.most == 1
