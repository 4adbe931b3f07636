"""API keys on this machine: their database, and a first key."""

import json
import sys

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Guardian, inherited_environment, run
from infra.local.services.dynamodb import DynamoDb
from infra.local.settings import Settings
from infra.paths import ROOT

# Without warnings: where it succeeds, it prints nothing but JSON.
_COMMAND = (sys.executable, "-W", "ignore", "-m", "functions.keys")


class Keys:
    """The database and the key."""

    def __init__(self, settings: Settings, guardian: Guardian, console: Console) -> None:
        self.key = settings.dev_key
        self._guardian = guardian
        self._database = DynamoDb(guardian, console)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which functions, and the keys command, reach the keys."""
        return self._database.environment

    async def prepare(self) -> None:
        """Start the database and create the key.

        Raises: CannotStart.
        """
        await self._database.start()
        # A chosen key is passed in the environment: all users of this machine can read a command line.
        chosen = {"DEV_KEY": self.key} if self.key else {}
        option = ("--key-from-env", "DEV_KEY") if self.key else ()
        succeeded, lines = await run(
            (*_COMMAND, "create", "--json", "--name", "development", *option),
            environment={**inherited_environment(), **self.environment, **chosen},
            directory=ROOT,
            guardian=self._guardian,
        )
        # The command's audit line is on stderr, which comes with the rest.
        text = "\n".join(line for line in lines if not line.startswith('{"audit":'))
        if not succeeded:
            shown = text.replace(self.key, "***") if self.key else text
            raise CannotStart(f"The development key cannot be created. {shown}")
        self.key = str(json.loads(text)["key"])

    async def watch(self) -> None:
        """Wait for the end of the database, and report it."""
        await self._database.watch()

    async def stop(self) -> None:
        """End the database, and with it all keys."""
        await self._database.stop()
