"""A door opened from a program that has no event loop."""

import asyncio
import gc
import urllib.request

import psutil
from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.lambda_service.service import open_door
from infra.local.processes import Guardian
from tests.integration.local.lambda_service.scripted_service import scripted_door, scripted_function


def test_a_door_opens_in_a_thread_of_its_own() -> None:
    with Guardian() as guardian, start_blocking_portal() as portal:
        opening = open_door([("/", scripted_function())], guardian=guardian, console=Console())
        with portal.wrap_async_context_manager(opening) as door:
            portal.call(door.prepare)
            with urllib.request.urlopen(f"{door.url}/stream") as response:
                assert response.read().endswith(b"piece 2\n")


def test_a_door_closed_while_a_function_starts_leaves_nothing_open() -> None:
    """Closing cancels the start; so has, just before, whoever waited for it."""

    async def close_amid_a_start() -> None:
        async with scripted_door(command=("sleep", "60")) as opened:
            (pool,) = opened.door.functions
            preparing = asyncio.create_task(pool.prepare())
            while "sleep" not in {child.name() for child in psutil.Process().children()}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            preparing.cancel()
            await asyncio.sleep(0)

    asyncio.run(close_amid_a_start())
    gc.collect()  # what is still open says so, and pytest makes it an error
