"""Environments that serve several requests at a time, with a scripted function of as many threads."""

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.integration.local.lambda_service.scripted_service import Received, Running, get, scripted_service
from tests.integration.local.lambda_service.test_gateway import until, with_service

WHOLE = b"".join(b"piece %d\n" % number for number in range(10))


async def pids(running: Running, count: int, target: str = "/?pause=0.5") -> Counter[int]:
    """Send so many requests at once; return how many each process served."""
    responses = await asyncio.gather(*(get(running.port, target) for _ in range(count)))
    return Counter(json.loads(each.body)["pid"] for each in responses if each.status == 200)


def streaming(running: Running, target: str = "/stream?count=10&pause=0.05") -> asyncio.Task[Received]:
    return asyncio.create_task(get(running.port, target))


def test_an_environment_is_full_before_another_starts() -> None:
    async def scenario(running: Running) -> None:
        assert await pids(running, 1) == Counter((await pids(running, 2)).keys())
        # Longer than an environment takes to start; the sixth exceeds the limit.
        assert sorted((await pids(running, 6, "/?pause=1.5")).values()) == [2, 3]
        assert "429" in running.out.getvalue()

    with_service(scenario, per_environment=3, concurrency=5)


def test_streams_of_one_environment_mix_and_each_is_whole() -> None:
    async def scenario(running: Running) -> None:
        responses = await asyncio.gather(*(streaming(running) for _ in range(8)))
        assert {(each.body, each.complete) for each in responses} == {(WHOLE, True)}
        assert len(await pids(running, 8)) == 1
        assert running.log.getvalue().count("starting") == 1

    with_service(scenario, per_environment=8)


def test_a_crash_fails_all_that_the_environment_holds_and_the_next_request_starts_another() -> None:
    async def scenario(running: Running) -> None:
        before = await pids(running, 1)
        streams = [streaming(running) for _ in range(3)]
        waiting = asyncio.create_task(get(running.port, "/hang"))
        await asyncio.sleep(0.2)
        assert (await get(running.port, "/crash")).status == 502
        assert [(each.status, each.complete) for each in await asyncio.gather(*streams)] == [(200, False)] * 3
        assert (await waiting).status == 502
        assert running.out.getvalue().count("crashed: exit status 3") == 5
        assert not before & await pids(running, 1)

    with_service(scenario, per_environment=8)


def test_a_request_that_times_out_leaves_the_others_and_their_environment() -> None:
    async def scenario(running: Running) -> None:
        before = await pids(running, 1, "/")
        hanging = asyncio.create_task(get(running.port, "/hang-midway"))
        await asyncio.sleep(0.4)
        stream = await streaming(running)
        assert (stream.body, stream.complete) == (WHOLE, True)
        hung = await hanging
        assert (hung.body, hung.complete) == (b"the beginning", False)
        assert "timed out after 0.7 s; its environment goes on" in running.out.getvalue()
        assert await pids(running, 1, "/") == before

    with_service(scenario, per_environment=2, timeout_s=0.7)


def test_a_client_that_disconnects_stops_its_own_stream_alone(tmp_path: Path) -> None:
    broken = tmp_path / "broken"

    async def scenario(running: Running) -> None:
        before = await pids(running, 1, "/")
        stream = streaming(running)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(f"GET /endless?file={broken} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"tick")
        writer.transport.abort()
        await until(broken.exists)
        assert not stream.done()
        assert (await stream).body == WHOLE
        assert await pids(running, 1, "/") == before

    with_service(scenario, per_environment=3)


def test_an_environment_is_idle_once_all_its_requests_are_over() -> None:
    async def scenario(running: Running) -> None:
        long = asyncio.create_task(pids(running, 1, "/?pause=0.6"))
        await asyncio.sleep(0.2)
        short = await pids(running, 1, "/")
        assert await long == short
        await asyncio.sleep(0.3)
        assert not short & await pids(running, 1, "/")

    with_service(scenario, per_environment=2, idle_s=0.05)


def test_all_that_wait_for_an_environment_fail_with_it() -> None:
    async def scenario(running: Running) -> None:
        responses = await asyncio.gather(*(get(running.port, "/") for _ in range(3)))
        assert [each.status for each in responses] == [502] * 3
        assert running.out.getvalue().count("init failed: Runtime.ImportModuleError") == 3
        assert running.log.getvalue().count("starting") == 1

    with_service(scenario, environment={"INIT": "error"}, per_environment=4)


def test_a_service_that_stops_breaks_off_every_stream() -> None:
    async def run() -> None:
        async with scripted_service(per_environment=4) as running:
            connections = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(3)]
            for _, writer in connections:
                writer.write(b"GET /stream?count=100&pause=0.05 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for reader, _ in connections:
                await reader.readuntil(b"piece 0")
        for reader, writer in connections:
            assert not (await reader.read()).endswith(b"0\r\n\r\n")
            writer.close()

    asyncio.run(run())
