"""The local Lambda service, run from a program that has no event loop."""

import asyncio
import gc
import urllib.request

import psutil
from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.lambda_service.service import run_lambda_service
from infra.local.processes import Guardian
from tests.integration.local.lambda_service.scripted_service import scripted_function, scripted_service


def test_it_runs_in_a_thread_of_its_own() -> None:
    with Guardian() as guardian, start_blocking_portal() as portal:
        running = run_lambda_service([("/", scripted_function())], guardian=guardian, console=Console())
        with portal.wrap_async_context_manager(running) as service:
            portal.call(service.prepare)
            with urllib.request.urlopen(f"{service.url}/stream") as response:
                assert response.read().endswith(b"piece 2\n")


def test_a_service_that_stops_while_a_function_starts_leaves_nothing_open() -> None:
    """Stopping cancels the start; just before, the caller that waited for it has been cancelled."""

    async def stop_during_a_start() -> None:
        async with scripted_service(command=("sleep", "60")) as running:
            (pool,) = running.service.functions
            preparing = asyncio.create_task(pool.prepare())
            while "sleep" not in {child.name() for child in psutil.Process().children()}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            preparing.cancel()
            await asyncio.sleep(0)

    asyncio.run(stop_during_a_start())
    gc.collect()  # what is still open warns, which is an error under pytest
