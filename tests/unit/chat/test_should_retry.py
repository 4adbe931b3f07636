"""The header by which SDKs decide whether to send a request again."""

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines.engine import Accepted, Event, Failure
from functions.chat.errors import ApiError, EngineUnreachable, UpstreamError, UpstreamTimeout
from tests.unit.chat.fakes import USER, EventsEngine, settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("before", [[], [Accepted()]], ids=["before it is accepted", "after it is accepted"])
@pytest.mark.parametrize(
    ("failure", "status", "header"),
    [
        (UpstreamError("It broke.", retry=False), 502, "false"),
        (UpstreamTimeout("It is late.", retry=False), 504, "false"),
        (UpstreamError("It broke."), 502, None),
        (UpstreamTimeout("It is late."), 504, None),
        (EngineUnreachable("Nothing answers."), 502, None),
    ],
    ids=str,
)
async def test_a_failure_before_the_first_event_says_whether_to_send_it_again(
    failure: ApiError, status: int, header: str | None, before: list[Event], stream: bool
) -> None:
    app = create_served_app(settings(), EventsEngine(*before, Failure(failure)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat") as client:
        body = {"model": "default", "messages": [USER], "stream": stream}
        reply = await client.post("/v1/chat/completions", json=body)
    assert (reply.status_code, reply.headers.get("x-should-retry")) == (status, header)
