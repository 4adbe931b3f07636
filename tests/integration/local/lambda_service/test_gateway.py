"""The gateway over real sockets, with a scripted function in real child processes."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from infra.local.console import Console
from infra.local.lambda_service.failures import Refused
from infra.local.lambda_service.gateway import Gateway
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.reply import FunctionReply
from tests.integration.local.lambda_service.scripted_service import Running, get, scripted_service
from tests.local_service import of_one_per_environment


def with_service(scenario: Callable[[Running], Awaitable[None]], **settings: object) -> None:
    async def run() -> None:
        async with scripted_service(**settings) as running:  # type: ignore[arg-type]
            await scenario(running)

    asyncio.run(run())


async def pid(running: Running, target: str = "/") -> int:
    number: int = json.loads((await get(running.port, target)).body)["pid"]
    return number


OTHERS: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def _exclude_others() -> None:
    """Services of other tests may be running."""
    OTHERS.clear()
    OTHERS.update(psutil.Process().children(recursive=True))


def children() -> list[psutil.Process]:
    """Return the processes that this test has started, the guardian's shell aside."""
    return [child for child in processes() if name(child) not in ("", "sh")]


def name(process: psutil.Process) -> str:
    """Return a process's name, "" once it is gone."""
    with suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


def processes() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True)) - OTHERS


async def until(condition: Callable[[], bool], within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_a_stream_arrives_as_it_is_made() -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, "/stream?count=4&pause=0.1")
        assert response.body == b"piece 0\npiece 1\npiece 2\npiece 3\n"
        assert response.complete
        assert response.reads[-1][0] - response.reads[0][0] > 0.25
        assert "set-cookie: a=1\r\nset-cookie: b=2" in response.head
        assert "x-amzn-requestid: " in response.head
        assert "uvicorn" not in response.head

    with_service(scenario)


def test_a_buffered_reply_has_a_length() -> None:
    async def scenario(running: Running) -> None:
        response = await get(
            running.port, "/a%2Fb?x=1", method="POST", headers="Content-Type: text/plain\r\n", body=b"hi"
        )
        event = json.loads(response.body)["event"]
        assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/a%2Fb", "x=1", "hi")
        assert f"content-length: {len(response.body)}" in response.head

    with_service(scenario)


@pytest.mark.parametrize("target", ["/empty", "/stream"])
def test_a_reply_without_a_body_has_none(target: str) -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, target, method="HEAD" if target == "/stream" else "GET")
        assert response.body == b""
        assert "transfer-encoding" not in response.head

    with_service(scenario)


def test_requests_one_after_the_other_share_a_sandbox() -> None:
    async def scenario(running: Running) -> None:
        pids = {await pid(running) for _ in range(20)}
        assert len(pids) == 1

    with_service(scenario)


@of_one_per_environment
def test_requests_at_the_same_time_get_a_sandbox_each() -> None:
    async def scenario(running: Running) -> None:
        pids = await asyncio.gather(*(pid(running, "/?pause=0.5") for _ in range(3)))
        assert len(set(pids)) == 3

    with_service(scenario)


@of_one_per_environment
def test_the_sandbox_used_last_is_used_next() -> None:
    async def scenario(running: Running) -> None:
        await asyncio.gather(pid(running, "/?pause=0.3"), pid(running, "/?pause=0.3"))
        await asyncio.sleep(0.1)
        last = await pid(running)
        for _ in range(5):
            await asyncio.sleep(0.02)
            assert await pid(running) == last

    with_service(scenario)


def test_an_idle_sandbox_is_ended() -> None:
    async def scenario(running: Running) -> None:
        await pid(running)
        await until(lambda: not children())

    with_service(scenario, idle_s=0.05)


def test_beyond_the_concurrency_limit_requests_are_throttled() -> None:
    async def scenario(running: Running) -> None:
        responses = await asyncio.gather(*(get(running.port, "/?pause=0.7") for _ in range(4)))
        assert sorted(response.status for response in responses) == [200, 200, 429, 429]
        assert "concurrency limit" in running.out.getvalue()

    with_service(scenario, concurrency=2)


@pytest.mark.parametrize(
    ("target", "logged"),
    [
        ("/crash", "crashed: exit status 3"),
        ("/error", "failed: Function.Oops"),
        ("/malformed", "malformed reply"),
        ("/hang", "timed out after 0.3 s"),
    ],
)
def test_a_failure_before_the_reply_is_a_502(target: str, logged: str) -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, target)
        assert (response.status, response.body) == (502, b"Internal Server Error")
        assert logged in running.out.getvalue()
        assert (await get(running.port, "/")).status == 200

    with_service(scenario, timeout_s=0.3)


@pytest.mark.parametrize(
    ("target", "logged"),
    [
        ("/crash-midway", "crashed: exit status 3"),
        ("/trailers", "failed: Function.Broken"),
        ("/hang-midway", "timed out after 0.5 s"),
    ],
)
def test_a_failure_within_the_reply_never_ends_it_cleanly(target: str, logged: str) -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, target)
        assert (response.status, response.body, response.complete) == (200, b"the beginning", False)
        assert logged in running.out.getvalue()

    with_service(scenario, timeout_s=0.5)


def test_a_whole_reply_counts_although_the_function_dies_after_it() -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, "/answer-and-crash")
        assert (response.body, response.complete) == (b"all of it", True)

    with_service(scenario)


@pytest.mark.parametrize(
    ("how", "logged"),
    [
        ("error", "init failed: Runtime.ImportModuleError"),
        ("exit", "init failed: exit status 7"),
        ("hang", "init timed out after 0.3 s"),
    ],
)
def test_a_function_that_does_not_start_is_a_502(how: str, logged: str) -> None:
    async def scenario(running: Running) -> None:
        assert (await get(running.port, "/")).status == 502
        assert logged in running.out.getvalue()

    with_service(scenario, environment={"INIT": how}, init_timeout_s=0.3 if how == "hang" else 10)


def test_a_missing_command_is_a_502() -> None:
    async def scenario(running: Running) -> None:
        assert (await get(running.port, "/")).status == 502
        assert "init failed: [Errno 2] No such file" in running.out.getvalue()

    with_service(scenario, command=("/nowhere",))


def test_a_reply_that_is_too_long_is_refused_on_both_sides(tmp_path: Path) -> None:
    status = tmp_path / "status"

    async def scenario(running: Running) -> None:
        assert (await get(running.port, f"/large?file={status}")).status == 502
        await until(status.exists)
        assert status.read_text() == "413"

    with_service(scenario)


def test_a_request_that_is_too_long_is_a_413() -> None:
    async def scenario(running: Running) -> None:
        response = await get(running.port, "/", method="POST", body=bytes(6 * 1024 * 1024 + 1))
        assert response.status == 413
        assert not children()

    with_service(scenario)


def test_a_reply_to_an_earlier_delivery_is_gone() -> None:
    async def scenario(running: Running) -> None:
        assert (await get(running.port, "/late")).body == b"HTTP/1.1 410 Gone"

    with_service(scenario)


@pytest.mark.parametrize("before_s", [0, 0.4])
def test_a_client_that_disconnects_breaks_the_functions_socket(before_s: float, tmp_path: Path) -> None:
    broken = tmp_path / "broken"

    async def scenario(running: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(
            f"GET /endless?file={broken}&before={before_s} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        if before_s:
            await until(lambda: "starting" in running.log.getvalue())
            await asyncio.sleep(0.2)
        else:
            await reader.readuntil(b"tick")
        disconnected_s = time.time()
        writer.transport.abort()
        await until(broken.exists)
        await until(lambda: broken.read_text() != "")
        assert float(broken.read_text()) - disconnected_s < 0.2 + before_s
        assert "client disconnected" in running.out.getvalue()
        assert (await get(running.port, "/")).status == 200
        assert len(children()) == 1

    with_service(scenario)


def test_a_client_that_disconnects_before_its_second_request_is_served_breaks_the_first(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken"

    async def scenario(running: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for target in (f"/endless?file={broken}", "/"):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"tick")
        writer.transport.abort()
        await until(broken.exists)
        await until(lambda: "client disconnected" in running.out.getvalue())

    with_service(scenario)


def test_a_slow_client_slows_the_function_down(tmp_path: Path) -> None:
    count = tmp_path / "count"

    async def scenario(running: Running) -> None:
        await pid(running)
        before = psutil.Process().memory_info().rss
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        target, fields = f"/flood?megabytes=100&file={count}", "Host: localhost\r\nConnection: close\r\n"
        writer.write(f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode())
        await until(count.exists)
        await asyncio.sleep(0.5)
        assert int(count.read_text()) < 30
        received = 0
        while data := await reader.read(1 << 20):
            received += len(data)
        assert received > 100_000_000
        assert psutil.Process().memory_info().rss - before < 20_000_000
        writer.close()

    with_service(scenario)


def test_the_console_shows_neither_query_nor_headers_nor_body() -> None:
    async def scenario(running: Running) -> None:
        await get(
            running.port, "/?key=sec%72et", method="POST", headers="Authorization: secret\r\n", body=b"secret"
        )
        line = running.out.getvalue()
        assert "POST /  200" in line
        assert "sec" not in line

    with_service(scenario)


def test_no_process_is_left_when_the_service_stops() -> None:
    async def scenario(running: Running) -> None:
        hanging = asyncio.create_task(get(running.port, "/hang"))
        await pid(running)
        await asyncio.sleep(0.1)
        assert children()
        hanging.cancel()

    with_service(scenario)
    assert not processes()


def test_a_crash_is_noticed_although_a_child_of_the_function_still_runs_and_the_child_is_killed() -> None:
    async def scenario(running: Running) -> None:
        began_s = time.monotonic()
        assert (await get(running.port, "/crash-with-child")).status == 502
        assert time.monotonic() - began_s < 2
        assert "crashed: exit status 3" in running.out.getvalue()
        await until(lambda: "sleep" not in {name(child) for child in children()})

    with_service(scenario)


def test_a_path_prefix_is_one_of_whole_segments() -> None:
    class Named:
        async def invoke(self, invocation: Invocation) -> FunctionReply:
            raise AssertionError(f"expected no invocation, but got {invocation}")

    graphql, rest = Named(), Named()
    gateway = Gateway([("/graphql", graphql), ("/", rest)], Console())
    for path in ("/graphql", "/graphql/", "/graphql/a"):
        assert gateway.function_at(path) is graphql
    for path in ("/", "/graphqlx", "/graph", "/a/graphql"):
        assert gateway.function_at(path) is rest
    with pytest.raises(Refused):
        gateway.function_at("*")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only web pages are refused")
def test_only_the_function_gets_the_next_event() -> None:
    """Another process knows the address, and polls before the request comes."""

    async def scenario(running: Running) -> None:
        await pid(running)
        (function,) = children()
        port = int(function.environ()["AWS_LAMBDA_RUNTIME_API"].rpartition(":")[2])
        for target in ("invocation/next", "init/error"):
            response = await get(port, f"/2018-06-01/runtime/{target}")
            assert response.status in (403, 404)
        assert await pid(running) == function.pid

    with_service(scenario)


def test_until_everything_is_ready_responses_say_what_is_missing() -> None:
    waiting_for = {"engine", "database"}

    async def scenario(running: Running) -> None:
        health = await get(running.port, "/health")
        assert (health.status, "retry-after: 1" in health.head) == (503, True)
        assert json.loads(health.body) == {"status": "starting", "waiting_for": ["database", "engine"]}
        refused = await get(running.port, "/v1/models")
        assert refused.status == 503
        assert json.loads(refused.body)["error"]["code"] == "starting"
        assert "waits for: database, engine" in json.loads(refused.body)["error"]["message"]
        assert "starting" not in running.log.getvalue(), "expected that no function runs"
        waiting_for.clear()
        assert (await get(running.port, "/health")).status == 200

    with_service(scenario, waiting_for=waiting_for)
