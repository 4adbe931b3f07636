"""The keys' database on this machine: moto's DynamoDB in a process of its own, which keeps all in memory.

Its credentials are those of one run; no other program has them, and no web page.
"""

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.loopback import HOST, bind
from infra.local.processes import Child, Guardian, inherited_environment, until_ready
from infra.local.services.log_file import LogFile
from infra.local.settings import REGION
from infra.paths import ROOT

LOG_FILE = ROOT / ".local" / "dynamodb.log"
NAME = "keys"
# What `functions.shared.items` expects; a test compares them.
TABLE: dict[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
_START_S = 30


class DynamoDb:
    """A server on a free loopback port. Connections wait until it has started, rather than fail."""

    def __init__(self, guardian: Guardian, console: Console, *, log_file: Path = LOG_FILE) -> None:
        self._guardian, self._console = guardian, console
        self._listener = bind(0)
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self._credentials = {
            "AWS_ACCESS_KEY_ID": f"LOCAL{secrets.token_hex(12).upper()}",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
        }
        self._log = LogFile(log_file)
        self._ready = asyncio.Event()
        self._child: Child | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which AWS's SDK reaches the table; the credentials are this run's."""
        return {
            "KEYS_TABLE": NAME,
            "DYNAMODB_ENDPOINT": self.url,
            "AWS_REGION": REGION,
            **self._credentials,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    async def start(self) -> None:
        """Start it and wait until it has the table.

        Raises: CannotStart, if it ends or hangs before.
        """
        descriptor = self._listener.fileno()
        self._child = await Child.start(
            (
                sys.executable,
                "-m",
                "infra.local.services.dynamodb_server",
                str(descriptor),
                json.dumps({"TableName": NAME, **TABLE}),
            ),
            environment={**inherited_environment(), **self._credentials},
            directory=ROOT,
            guardian=self._guardian,
            on_line=self._take_line,
            inherited=(descriptor,),
        )
        self._listener.close()
        self._ending = asyncio.create_task(self._child.wait())
        if not await until_ready(self._ready, self._ending, _START_S):
            await self.stop()
            raise CannotStart(
                f"The keys' database did not start ({self._ending.result()}). Its log: {self._log.path}"
            )

    async def watch(self) -> None:
        """Wait for its end, and report it: the keys are lost with it."""
        ending = await asyncio.shield(self._ending)
        self._console.warn(
            f"The keys' database ended ({ending}), and all keys with it: requests with a new key will fail."
            f" Stop with Ctrl-C, then start again. Its log: {self._log.path}"
        )

    async def stop(self) -> None:
        """Kill it, and wait until it is gone."""
        self._listener.close()
        if self._child:
            self._child.kill()
            await self._ending
        self._log.close()

    def _take_line(self, line: str) -> None:
        if line == "ready":
            self._ready.set()
        else:
            self._log.write(line)
