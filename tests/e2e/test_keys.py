"""Keys, limits and usage, through the gateway and real function processes to moto's DynamoDB."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from functions.keys.store import KeyTable
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.usage import UsageRecord
from infra.paths import ROOT
from tests.e2e.examples import finish, start
from tests.engines import events
from tests.engines.behaviours import Chat, Completion, Sse
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.engines.wire import Request
from tests.local_service import LocalService, Service, run_local

BODY: dict[str, Any] = {
    "model": "default",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 20,
}
URL = "/v1/chat/completions"


@dataclass(frozen=True)
class CountsBytes(Completion):
    """A whole reply of as many tokens as are allowed; its prompt has one for each byte of its text."""

    def fields(self, request: Request) -> dict[str, Any]:
        prompt = sum(len(each["content"].encode()) for each in request.fields["messages"])
        completion = events.token_count(request)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        return super().fields(request) | {"usage": usage}


class Kept:
    """The service with required keys and a scripted engine."""

    def __init__(self, local: LocalService, engine: ScriptedEngine) -> None:
        self.local, self.engine = local, engine
        printed = re.search(r"^ +(KEYS_TABLE=.*?) \\$", local.banner, re.MULTILINE)
        assert printed, local.banner
        self.environment = dict(part.split("=", 1) for part in printed[1].split())
        self.table = KeyTable(
            self.environment["KEYS_TABLE"],
            endpoint_url=self.environment["DYNAMODB_ENDPOINT"],
            aws=Aws(Boto(region=self.environment["AWS_REGION"])),
        )

    def keys(self, *arguments: str) -> Any:
        """Run the command line as the banner says; return its JSON."""
        done = subprocess.run(
            (sys.executable, "-m", "functions.keys", *arguments, "--json"),
            cwd=ROOT,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def create(self, *limits: str) -> tuple[str, Service]:
        """Make a key of these limits; return its id, and the service with it."""
        created = self.keys("create", "--name", "alice", "--same-name", *limits)
        return created["id"], Service(self.local.service.url, created["key"])

    def usage(self, key_id: str) -> list[UsageRecord]:
        return list(self.table.usage(key_id, 0, 4102444800000))


@pytest.fixture(scope="module")
def kept_session(_here: None) -> Iterator[Kept]:
    with (
        scripted_engine() as engine,
        run_local(BACKEND=engine.base_url, AUTH="on", CONCURRENCY="20") as local,
        pytest.MonkeyPatch.context() as patch,
    ):
        kept = Kept(local, engine)
        for name, value in kept.environment.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        yield kept


@pytest.fixture
def kept(kept_session: Kept) -> Kept:
    kept_session.engine.behaviour = Chat()
    return kept_session


def in_one_minute(needed_s: float) -> None:
    """Wait until so much of the minute is left: limits are counted by the minute."""
    left_s = 60 - time.time() % 60
    if left_s < needed_s:
        time.sleep(left_s + 0.05)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "didn't provide an API key"),
        ("sk-" + "x" * 49, "typing mistake"),
        ("somebody", "Incorrect API key"),
        ("x" * 10_000, "Incorrect API key"),
    ],
)
def test_other_keys_are_refused(key: str, message: str, kept: Kept) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=kept.local.service.url, headers=headers, trust_env=False) as client:
        reply = client.post(URL, json=BODY)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
        assert message in reply.json()["error"]["message"]
        reply = client.post("/graphql", json={"query": "{ todos { id } }"})
        assert (reply.status_code, reply.json()["errors"][0]["extensions"]["code"]) == (
            401,
            "UNAUTHENTICATED",
        )


def test_every_reply_has_what_is_left(kept: Kept) -> None:
    _, service = kept.create("--rpm", "60", "--tpm", "20000")
    with service.client() as client:
        first = client.post(URL, json=BODY)
        wrong = client.post(URL, json={**BODY, "temperature": 3})
    assert (first.status_code, wrong.status_code) == (200, 400)
    for reply, requests in ((first, "59"), (wrong, "58")):
        assert reply.headers["x-ratelimit-limit-requests"] == "60"
        assert reply.headers["x-ratelimit-remaining-requests"] == requests
        assert reply.headers["x-ratelimit-limit-tokens"] == "20000"
        assert 0 < int(reply.headers["x-ratelimit-remaining-tokens"]) < 20000
        assert re.fullmatch(r"(\d+m)?[\d.]+m?s", reply.headers["x-ratelimit-reset-requests"])
        assert "x-ratelimit-reset-tokens" in reply.headers["access-control-expose-headers"]


@pytest.mark.nightly
def test_of_200_at_once_exactly_60_pass(kept: Kept) -> None:
    key_id, service = kept.create("--rpm", "60")
    in_one_minute(20)

    def send(_: int) -> int:
        with service.client() as client:
            return client.post(URL, json=BODY).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = Counter(pool.map(send, range(200)))
    assert statuses == {200: 60, 429: 140}
    outcomes = Counter(record.outcome for record in kept.usage(key_id))
    assert outcomes == {"ok": 60}, "expected one record for each request that reserved"
    ((_, _, used),) = kept.table.sums(key_id, *[int(time.time() * 1000)] * 2)
    assert (used.requests, used.ok, used.refused) == (200, 60, 140)


def test_a_budget_ends_and_says_not_to_try_again(kept: Kept) -> None:
    key_id, service = kept.create("--budget-tokens", "750")
    with service.client() as client:
        statuses = [client.post(URL, json=BODY).status_code for _ in range(8)]
        reply = client.post(URL, json=BODY)
    assert statuses[0] == 200
    assert reply.status_code == 429
    assert reply.json()["error"]["type"] == "insufficient_quota"
    assert reply.headers["x-should-retry"] == "false"
    assert "retry-after" not in reply.headers
    spent = sum(each.prompt_tokens + each.completion_tokens for each in kept.usage(key_id))
    assert kept.table.spent(key_id) == spent <= 750


def at_once(service: Service, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    """Send requests in parallel; a stream is left after its first events."""

    def send(body: dict[str, Any]) -> httpx.Response:
        with service.client() as client, client.stream("POST", URL, json=body) as reply:
            if body.get("stream") and reply.status_code == 200:
                lines = reply.iter_lines()
                for _ in range(4):
                    next(lines)
            else:
                reply.read()
            return reply

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


def of(text: str, **fields: Any) -> dict[str, Any]:
    return {**BODY, "messages": [{"role": "user", "content": text}], **fields}


def wait_until_settled(kept: Kept, key_id: str) -> None:
    until = time.monotonic() + 10
    while kept.table.running(key_id, 0):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_ten_at_once_in_emoji_and_digits_overspend_no_budget(kept: Kept) -> None:
    """Each of them counts 1,220 tokens, four times what its bytes would be in English."""
    kept.engine.behaviour = Chat(reply=CountsBytes(delay_s=0.2))
    key_id, service = kept.create("--budget-tokens", "6000")
    replies = at_once(service, [of("🙂" * 200 + "7" * 400)] * 10)
    more = at_once(service, [of("7" * 700)] * 4)
    assert {reply.status_code for reply in replies + more} == {200, 429}
    refused = next(reply for reply in replies + more if reply.status_code == 429)
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert "for the prompt, 20 for the reply)" in refused.json()["error"]["message"]
    wait_until_settled(kept, key_id)
    records = kept.usage(key_id)
    assert {record.tokens for record in records} <= {1220, 720}
    assert len(records) == sum(reply.status_code == 200 for reply in replies + more) >= 3
    assert kept.table.spent(key_id) == sum(record.tokens for record in records) <= 6000


def test_a_budget_is_exact_after_streams_that_were_cut_and_replies_that_were_not(kept: Kept) -> None:
    paced = Sse(events.tokens(100, pace_s=0.02, text="🙂"))
    kept.engine.behaviour = Chat(paced, CountsBytes(delay_s=0.1))
    key_id, service = kept.create("--budget-tokens", "20000")
    text = "字" * 200 + "7" * 200
    replies = at_once(service, [of(text, stream=True), of(text)] * 5)
    passed = [reply for reply in replies if reply.status_code == 200]
    wait_until_settled(kept, key_id)
    records = kept.usage(key_id)
    assert Counter(record.outcome for record in records) == {"cut": 5, "ok": 5}, replies
    assert len(records) == len(passed)
    assert kept.table.spent(key_id) == sum(record.tokens for record in records) <= 20_000
    for record in records:
        assert 400 <= record.prompt_tokens <= 800, "an estimate, where the engine counted none"


def test_a_limit_of_tokens_is_no_estimate(kept: Kept) -> None:
    kept.engine.behaviour = Chat(reply=CountsBytes(delay_s=0.1))
    _, small = kept.create("--tpm", "500")
    key_id, service = kept.create("--tpm", "6000")
    (reply,) = at_once(small, [of("字" * 600)])
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], reply.headers["x-should-retry"]) == (429, "tokens", "false")
    assert re.match(r"The request needs up to 2,\d{3} tokens .* may use 500 a minute", error["message"])
    in_one_minute(5)
    replies = at_once(service, [of("🙂" * 200 + "7" * 400)] * 10)
    assert Counter(reply.status_code for reply in replies)[429] >= 6
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert re.search(
        r"limit of 6,000 tokens a minute .* are left\. Try again", refused.json()["error"]["message"]
    )
    assert 0 < int(refused.headers["retry-after"]) <= 120
    wait_until_settled(kept, key_id)
    assert 0 < sum(record.tokens for record in kept.usage(key_id)) <= 6000


def test_a_stream_leaves_its_record_before_its_end(kept: Kept) -> None:
    key_id, service = kept.create("--tpm", "20000")
    with service.client() as client, client.stream("POST", URL, json={**BODY, "stream": True}) as reply:
        for line in reply.iter_lines():
            if line == "data: [DONE]":
                (record,) = kept.usage(key_id)
                assert (record.outcome, record.model) == ("ok", "scripted")
                assert record.request_id == reply.headers["x-request-id"]
                assert record.prompt_tokens
                assert record.completion_tokens == 8


def test_a_caller_who_leaves_is_counted_for_what_passed(kept: Kept) -> None:
    key_id, service = kept.create("--tpm", "20000")
    kept.engine.behaviour = Chat(Sse(events.tokens(1000, pace_s=0.02)))
    with service.client() as client, client.stream("POST", URL, json={**BODY, "stream": True}) as reply:
        lines = reply.iter_lines()
        for _ in range(10):
            next(lines)
    record = settled(kept, key_id)
    assert record.outcome == "cut"
    assert 2 <= record.completion_tokens < 20


@pytest.mark.nightly
@pytest.mark.parametrize("stream", [True, False], ids=["streams", "whole replies"])
def test_of_200_callers_who_leave_within_12_ms_none_leaves_anything_reserved(
    kept: Kept, stream: bool
) -> None:
    key_id, service = kept.create("--budget-tokens", "1000000000")
    kept.engine.behaviour = Chat(Sse(events.tokens(50, pace_s=0.02)))
    url = urlsplit(service.url)
    body = json.dumps({**BODY, "stream": stream}).encode()
    head = (
        f"POST {URL} HTTP/1.1\r\nhost: {url.netloc}\r\nauthorization: Bearer {service.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )

    def leave(_: int) -> None:
        with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(random.uniform(0, 0.012))

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(leave, range(200)))
    until, quiet_since, seen = time.monotonic() + 60, time.monotonic(), -1
    while time.monotonic() - quiet_since < 4:
        assert time.monotonic() < until
        if kept.table.running(key_id, 0) or kept.table.spent(key_id) != seen:
            quiet_since, seen = time.monotonic(), kept.table.spent(key_id)
        time.sleep(0.2)
    assert kept.table.spent(key_id) == sum(record.tokens for record in kept.usage(key_id))


def test_concurrent_requests_of_a_key_are_limited(kept: Kept) -> None:
    key_id, service = kept.create("--concurrent", "1")
    kept.engine.behaviour = Chat(Sse(events.tokens(1000, pace_s=0.02)))
    with service.client() as client:
        with client.stream("POST", URL, json={**BODY, "stream": True}) as reply:
            lines = reply.iter_lines()
            next(lines)
            refused = client.post(URL, json=BODY)
            shown = kept.keys("show", key_id)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "limit of 1 concurrent request is reached" in refused.json()["error"]["message"]
        assert (shown["running_requests"], shown["concurrent"]) == (1, 1)
        until = time.monotonic() + 5
        while kept.table.running(key_id, 0):
            assert time.monotonic() < until
            time.sleep(0.05)
        kept.engine.behaviour = Chat(Sse(events.tokens(8)))
        assert client.post(URL, json={**BODY, "stream": True}).status_code == 200


@pytest.mark.slow
def test_a_function_that_is_killed_is_counted_for_what_it_reserved(kept: Kept) -> None:
    key_id, service = kept.create("--tpm", "20000")
    kept.engine.behaviour = Chat(Sse(events.tokens(1000, pace_s=0.02)))
    with service.client() as client, client.stream("POST", URL, json={**BODY, "stream": True}) as reply:
        lines = reply.iter_lines()
        for _ in range(6):
            next(lines)
        for function in kept.local.functions():
            function.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    (running,) = kept.table.running(key_id, time.time())
    assert running.most - running.prompt == BODY["max_tokens"]
    assert (kept.table.spent(key_id), kept.usage(key_id)) == (running.most, [])
    assert kept.table.running(key_id, running.expires_at) == []
    (record,) = kept.usage(key_id)
    assert (record.outcome, record.completion_tokens) == ("cut", BODY["max_tokens"])
    assert kept.table.spent(key_id) == record.tokens == running.most


def test_todos_are_kept_apart(kept: Kept) -> None:
    (_, one), (_, other) = kept.create(), kept.create()
    create = 'mutation { createTodo(title: "mine") { id } }'
    count = "{ todosConnection { totalCount } }"
    with one.client() as first, other.client() as second:
        todo_id = first.post("/graphql", json={"query": create}).json()["data"]["createTodo"]["id"]
        counted = [
            client.post("/graphql", json={"query": count}).json()["data"]["todosConnection"]["totalCount"]
            for client in (first, second)
        ]
        delete = f'mutation {{ deleteTodo(id: "{todo_id}") {{ id }} }}'
        (error,) = second.post("/graphql", json={"query": delete}).json()["errors"]
        assert first.post("/graphql", json={"query": delete}).json()["data"]["deleteTodo"] == {"id": todo_id}
    assert (counted, error["extensions"]["code"]) == ([1, 0], "NOT_FOUND")


@pytest.mark.nightly
@pytest.mark.timeout(150)
def test_official_sdks_wait_for_the_next_minute_and_succeed(kept: Kept) -> None:
    """Eight requests a minute: one passes again when 7.5 s of the next minute are over."""
    _, python = kept.create("--rpm", "8")
    _, node = kept.create("--rpm", "8")
    in_one_minute(8)
    time.sleep(max(0.0, 45 - time.time() % 60))  # the wait is short, and both sides begin before it
    for service in (python, node):
        with service.client() as client:
            assert {client.post(URL, json=BODY).status_code for _ in range(8)} == {200}
    minute = time.time() // 60
    outputs = finish([start("openai_client.py", python), start("openai_client.mjs", node)])
    assert all(output.strip() for output in outputs)
    assert 7.5 <= time.time() - (minute + 1) * 60 < 30


def settled(kept: Kept, key_id: str) -> UsageRecord:
    """Wait until the only request of a key is settled: it counts as less than what it reserved."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        for record in kept.usage(key_id):
            used = record.prompt_tokens + record.completion_tokens
            if record.completion_tokens < BODY["max_tokens"] and kept.table.spent(key_id) == used:
                return record
        time.sleep(0.05)
    raise AssertionError(f"expected a settled record, but got {kept.usage(key_id)}")
