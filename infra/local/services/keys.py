"""API keys on this machine: their database, and a key to begin with."""

import json
import sys

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Guardian, passed_on, run
from infra.local.services.dynamodb import DynamoDb
from infra.local.settings import Settings
from infra.paths import ROOT

# Nothing but JSON is printed where it succeeds, not even a warning.
_COMMAND = (sys.executable, "-W", "ignore", "-m", "functions.keys")


class Keys:
    """The database and the key."""

    def __init__(self, settings: Settings, guardian: Guardian, console: Console) -> None:
        self.key = settings.dev_key
        self._guardian = guardian
        self._database = DynamoDb(guardian, console)

    @property
    def environment(self) -> dict[str, str]:
        """What leads to the keys."""
        return self._database.environment

    async def prepare(self) -> None:
        """Start the database and make the key.

        Raises: CannotStart.
        """
        await self._database.start()
        self.key = await self._create()

    async def watch(self) -> None:
        """Wait for the end of the database, and say so."""
        await self._database.watch()

    async def stop(self) -> None:
        """End the database, and all that it keeps."""
        await self._database.stop()

    async def _create(self) -> str:
        # A chosen key goes through the environment: a command line can be read by everybody on this machine.
        chosen = {"DEV_KEY": self.key} if self.key else {}
        option = ("--key-from-env", "DEV_KEY") if self.key else ()
        done, lines = await run(
            (*_COMMAND, "create", "--json", "--name", "development", *option),
            environment={**passed_on(), **self.environment, **chosen},
            directory=ROOT,
            guardian=self._guardian,
        )
        text = "\n".join(lines)
        if not done:
            raise CannotStart(f"The development key cannot be made. {self._without_key(text)}")
        return str(json.loads(text)["key"])

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text
