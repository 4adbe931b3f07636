"""A function that passes bytes through with aiohttp: the least work of a streaming proxy on Lambda.

Run as a custom runtime, with the engine's base URL as its argument.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

from aiohttp import ClientResponse, ClientSession

_API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
_HEADERS = {
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
}
_PRELUDE = json.dumps({"statusCode": 200, "headers": {"content-type": "text/event-stream"}}).encode()


async def main(engine_url: str) -> None:
    """Serve until killed."""
    async with ClientSession() as engine, ClientSession() as runtime_api:
        while True:
            async with runtime_api.get(f"{_API}/next", timeout=None) as invocation:
                request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
                body = json.loads(await invocation.read())["body"].encode()
            headers = {"content-type": "application/json"}
            async with engine.post(f"{engine_url}/chat/completions", data=body, headers=headers) as reply:
                response = f"{_API}/{request_id}/response"
                await runtime_api.post(response, data=_response(reply), headers=_HEADERS)


async def _response(reply: ClientResponse) -> AsyncIterator[bytes]:
    yield _PRELUDE + b"\0" * 8
    async for data in reply.content.iter_any():
        yield data


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
