"""An environment of its own that reserves many times at once: `python -m … ENDPOINT LIMIT COUNT`.

Prints `ready`; for each line, a time, it prints how many were accepted and why others were refused.
"""

import asyncio
import os
import sys
from collections import Counter

from functions.shared import aws as aws_module
from functions.shared.keys import Key
from functions.shared.limits import LimitReached, Running
from functions.shared.table import Table
from tests.integration.shared.conftest import NAME, signed_aws


async def main(endpoint: str, limit: str, count: str) -> None:
    aws_module.MAX_CONNECTIONS = int(count)
    # Moto handles one call at a time: the last of 200 may wait for long, and must not be retried.
    aws_module.CONNECT_TIMEOUT_S = aws_module.READ_TIMEOUT_S = 30
    table = Table(NAME, aws=signed_aws(), endpoint_url=endpoint)
    key = Key(id="key_many", digest="d", name="", requests_per_minute=int(limit), created_at=0)
    await table.peek(key, 0.0)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        requests = (running(f"{os.getpid()}-{line.strip()}-{number}") for number in range(int(count)))
        ends = await asyncio.gather(*(reserve(table, key, each, float(line)) for each in requests))
        print(*(f"{end}={many}" for end, many in Counter(ends).items()), flush=True)


def running(request_id: str) -> Running:
    return Running(
        request_id=request_id, model="tiny", tokens=1, most=1, prompt=1, started_at=0, expires_at=2**40
    )


async def reserve(table: Table, key: Key, request: Running, now: float) -> str:
    try:
        await table.reserve(key, request, now)
    except LimitReached as reached:
        return reached.kind
    return "through"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
