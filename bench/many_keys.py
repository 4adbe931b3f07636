"""How long the commands take where there are 5,000 keys and 1,000,000 usage records.

`python -m bench.many_keys [KEYS RECORDS DAYS]` fills the table of a local server, which takes minutes, and
prints a line for each command: seconds, and of these the CPU of the command and of the server.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from functions.shared.items import SCHEMA
from infra.local.services.dynamodb import NAME
from infra.local.settings import REGION
from tests.aws import dummy_credentials

_COMMANDS = (
    ("list",),
    ("list", "--json"),
    ("usage",),
    ("usage", "--by", "day"),
    ("usage", "--by", "model"),
    ("usage", "--by", "key"),
    ("usage", "--by", "key", "--json"),
    ("usage", "--since", "1d"),
    ("usage", "person 17"),
    ("usage", "person 17", "--records"),
    ("show", "person 17"),
)
_GOAL_S = 10.0


@contextmanager
def _server(keys: int, records: int, days: int) -> Iterator[tuple[psutil.Process, str]]:
    """Run the server with all that in its table; yield its process and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        schema = json.dumps({"TableName": NAME, **SCHEMA})
        command = (sys.executable, "-m", "bench.full_table", str(descriptor), schema)
        child = subprocess.Popen(
            (*command, str(keys), str(records), str(days)),
            env={**os.environ, **dummy_credentials(REGION)},
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
        )
    assert child.stdout
    try:
        if child.stdout.readline() != b"ready\n":
            sys.exit("The server did not start.")
        yield psutil.Process(child.pid), f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def main(keys: int = 5_000, records: int = 1_000_000, days: int = 30) -> int:
    """Print a line for each command; return 1 if one took too long."""
    began, late = time.monotonic(), False
    print(f"Filling a table with {keys:,} keys and {records:,} usage records …", file=sys.stderr)
    with _server(keys, records, days) as (server, url):
        memory_gb = server.memory_info().rss / 2**30
        print(f"{time.monotonic() - began:.0f} s, {memory_gb:.1f} GB\n", file=sys.stderr)
        print(f"{'command':32}{'seconds':>9}{'own CPU':>9}{'server':>9}{'lines':>9}")
        for command in _COMMANDS:
            before = _cpu_s(server)
            own, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            done = subprocess.run(
                (sys.executable, "-m", "functions.keys", *command, "--table", NAME, "--endpoint", url),
                env={**os.environ, **dummy_credentials(REGION)},
                stdout=subprocess.PIPE,
                check=True,
            )
            took_s = time.monotonic() - started
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
            figures = (took_s, cpu_s, _cpu_s(server) - before)
            lines = done.stdout.count(b"\n")
            print(
                f"{' '.join(command):32}" + "".join(f"{each:9.2f}" for each in figures) + f"{lines:9,}",
                flush=True,
            )
            late |= took_s > _GOAL_S
    return int(late)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
