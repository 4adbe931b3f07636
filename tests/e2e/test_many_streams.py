"""An environment that serves many requests at once: each is as whole as if it were alone, and fails alone.

What a single client sees is tested by all the other files, with `make test-all PER_ENVIRONMENT=64`.
"""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from tests.e2e.conftest import Scripted
from tests.e2e.raw_http import QUESTION
from tests.engines import events, schema
from tests.engines.behaviours import End, Sse
from tests.engines.scripted import scripted_engine
from tests.engines.wire import Behaviour, Reply, Request
from tests.local_service import run_local

pytestmark = pytest.mark.slow
STREAMS = 64
TIMEOUT_S = 4
PATH = "/v1/chat/completions"


def prompt_of(request: Request) -> str:
    return str(request.fields["messages"][-1]["content"])


@dataclass
class ByPrompt:
    """Streams tokens of the prompt's own, or does what is set for that prompt, once so many requests came."""

    pace_s: float = 0.02
    others: dict[str, Behaviour] = field(default_factory=dict)
    together: int = 1
    requests: int = 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        text = prompt_of(request)
        own = Sse(events.tokens(20, pace_s=self.pace_s, text=f" {text}"))
        self.requests += 1
        while self.requests < self.together:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self.others.get(text, own)(request, reply)


@pytest.fixture(scope="module")
def shared_service(_here: None) -> Iterator[Scripted]:
    with (
        scripted_engine() as engine,
        run_local(BACKEND=engine.base_url, PER_ENVIRONMENT=f"{STREAMS}", TIMEOUT_S=f"{TIMEOUT_S}") as local,
    ):
        yield Scripted(engine, local)


@pytest.fixture
def shared(shared_service: Scripted) -> Scripted:
    shared_service.engine.behaviour = ByPrompt()
    shared_service.engine.received_requests.clear()
    return shared_service


def environments(shared: Scripted) -> list[psutil.Process]:
    """Return the processes of the chat function."""
    return [each for each in shared.local.functions() if "AWS_LAMBDA_MAX_CONCURRENCY" in each.environ()]


def run(shared: Scripted, test: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run a test with a client of many connections."""

    async def with_client() -> None:
        limits = httpx.Limits(max_connections=None)
        address = {"base_url": shared.service.url, "trust_env": False, "timeout": 20, "limits": limits}
        async with httpx.AsyncClient(**address) as client:  # type: ignore[arg-type]
            await test(client)

    asyncio.run(with_client())


async def stream(client: httpx.AsyncClient, prompt: str, pieces: list[bytes] | None = None) -> bytes:
    """Request a stream; return all of it, and note each piece as it comes.

    Raises: httpx.RemoteProtocolError, where it breaks.
    """
    pieces = [] if pieces is None else pieces
    messages = [{"role": "user", "content": prompt}]
    body = {**QUESTION, "messages": messages, "stream": True}
    async with client.stream("POST", PATH, json=body, headers={"x-request-id": f"id-{prompt}"}) as reply:
        assert reply.status_code == 200
        async for piece in reply.aiter_raw():
            pieces.append(piece)
    return b"".join(pieces)


async def broken(client: httpx.AsyncClient, prompt: str) -> bool:
    """Return whether a stream breaks off, or does not begin."""
    try:
        await stream(client, prompt)
    except (httpx.RemoteProtocolError, AssertionError):
        return True
    return False


async def until_open(shared: Scripted, count: int) -> None:
    """Wait until the engine streams so many replies."""
    await asyncio.to_thread(shared.engine.wait_until, lambda: shared.engine.open_streams >= count)


def test_streams_at_once_are_those_of_streams_alone_byte_for_byte(shared: Scripted) -> None:
    prompts = [f"n{number:02}" for number in range(STREAMS)]

    async def test(client: httpx.AsyncClient) -> None:
        alone = await stream(client, "n00")
        shared.engine.behaviour = ByPrompt(together=STREAMS)
        (environment,) = environments(shared)
        before = environment.memory_info().rss
        streams = asyncio.gather(*(stream(client, prompt) for prompt in prompts))
        await until_open(shared, STREAMS)
        grown = environment.memory_info().rss - before
        for prompt, whole in zip(prompts, await streams, strict=True):
            assert whole == alone.replace(b"n00", prompt.encode())
        schema.validate_stream(alone)
        assert environments(shared) == [environment]
        assert grown < before / 2, "expected less than another process for all of them"

    run(shared, test)


def test_each_of_many_requests_has_its_own_line(shared: Scripted) -> None:
    counts = range(1, 9)

    async def test(client: httpx.AsyncClient) -> None:
        shared.engine.behaviour = ByPrompt(
            others={f"of-{count}": Sse(events.tokens(count, pace_s=0.02)) for count in counts}
        )
        await asyncio.gather(*(stream(client, f"of-{count}") for count in counts))

    line = re.compile(r" 200 .* scripted  37\+([1-8]) tokens\n")
    run(shared, test)
    out = shared.local.out.wait_for(lambda text: len(line.findall(text)) == len(counts))
    assert sorted(line.findall(out)) == [f"{count}" for count in counts]


def test_a_client_that_disconnects_stops_its_own_stream_alone(shared: Scripted) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        before = environments(shared)
        leaving = asyncio.create_task(stream(client, "leaving"))
        others = [asyncio.create_task(stream(client, f"stays-{number}")) for number in range(4)]
        await until_open(shared, 5)
        leaving.cancel()
        await asyncio.to_thread(shared.engine.wait_until, lambda: shared.engine.disconnects)
        left = [request for request in shared.engine.requests if request.disconnected_at]
        assert [prompt_of(request) for request in left] == ["leaving"]
        for whole in await asyncio.gather(*others):
            schema.validate_stream(whole)
        assert environments(shared) == before

    run(shared, test)


def test_a_killed_environment_breaks_all_its_streams_and_another_starts(shared: Scripted) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        before = environments(shared)
        streams = [asyncio.create_task(broken(client, f"n{number}")) for number in range(8)]
        await until_open(shared, 8)
        for environment in before:
            environment.kill()
        assert await asyncio.gather(*streams) == [True] * 8
        schema.validate_stream(await stream(client, "next"))
        (environment,) = environments(shared)
        assert environment not in before

    run(shared, test)
    assert str(shared.local.out).count("crashed: signal SIGKILL") == 8


def test_the_deadline_of_one_is_not_that_of_the_others(shared: Scripted) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        before = environments(shared)
        half = events.first(events.tokens(8), 4)
        shared.engine.behaviour = ByPrompt(others={"hangs": Sse(half, End.HANG)})
        pieces: list[bytes] = []
        hanging = asyncio.create_task(stream(client, "hangs", pieces))
        while not hanging.done():
            schema.validate_stream(await stream(client, "goes-on"))
        with pytest.raises(httpx.RemoteProtocolError):
            hanging.result()
        assert schema.validate_failed_stream(b"".join(pieces)).error["code"] == "timeout"
        assert environments(shared) == before

    run(shared, test)


def test_a_function_that_exceeds_its_time_limit_goes_on(shared: Scripted) -> None:
    """A stopped process keeps no deadline: the gateway does, and leaves the environment."""

    async def test(client: httpx.AsyncClient) -> None:
        (environment,) = environments(shared)
        environment.suspend()
        requests = [client.post(PATH, json=QUESTION) for _ in range(3)]
        try:
            replies = await asyncio.gather(*requests)
        finally:
            environment.resume()
        assert [reply.status_code for reply in replies] == [502] * 3
        schema.validate_stream(await stream(client, "next"))
        assert environments(shared) == [environment]

    run(shared, test)
    assert str(shared.local.out).count(f"timed out after {TIMEOUT_S} s; its environment goes on") == 3


def test_an_environment_that_is_stopped_ends_its_streams_first(shared: Scripted) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        shared.engine.behaviour = ByPrompt(pace_s=0.1)
        (before,) = environments(shared)
        streams = asyncio.gather(*(stream(client, f"n{number}") for number in range(8)))
        await until_open(shared, 8)
        before.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert (await client.get("/health")).status_code == 200
        assert not streams.done()
        assert len(environments(shared)) == 2
        for whole in await streams:
            schema.validate_stream(whole)
        assert await asyncio.to_thread(before.wait, 5) is None

    run(shared, test)
