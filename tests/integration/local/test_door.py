"""A door opened from a program that has no event loop."""

import urllib.request

from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.door import open_door
from infra.local.processes import Guardian
from tests.integration.local.scripted_door import scripted_function


def test_a_door_opens_in_a_thread_of_its_own() -> None:
    with Guardian() as guardian, start_blocking_portal() as portal:
        opening = open_door([("/", scripted_function())], guardian=guardian, console=Console())
        with portal.wrap_async_context_manager(opening) as door:
            portal.call(door.prepare)
            with urllib.request.urlopen(f"{door.url}/stream") as response:
                assert response.read().endswith(b"piece 2\n")
