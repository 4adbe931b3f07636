"""Postgres on this machine, watched: started, waited for, started again if it dies, stopped in order.

Where another process of the clone serves the same files, its server is used; when that process goes, this
one serves them in its place, on the same port.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Child, Guardian, run, until_ready
from infra.local.services.log_file import LogFile
from infra.local.services.postgres_cluster import DATABASE, HOST, USER, Cluster, clean_environment, program
from infra.paths import ROOT

DIRECTORY = ROOT / ".local" / "postgres"
_READY = "database system is ready to accept connections"
# The processes of a server that was killed have not all gone yet.
_NOT_GONE = "pre-existing shared memory block"
_START_S = 30
_STOP_S = 1.2
_POLL_S = 0.1
# One that ends sooner than this after its start would only end again.
_WORTH_RESTARTING_S = 10


class Postgres:
    """A server on loopback that keeps its port; its data outlives it."""

    def __init__(self, guardian: Guardian, console: Console, *, directory: Path = DIRECTORY) -> None:
        self._guardian, self._console = guardian, console
        self._cluster = Cluster(directory)
        self.port = self._cluster.choose_port() if self._cluster.lock() else self._others_port()
        self.url = self._cluster.url(self.port)
        self._child: Child | None = None
        self._log: LogFile | None = None

    def _others_port(self) -> int:
        port = self._cluster.port()
        if port is None:
            raise CannotStart("Another process sets up Postgres in this clone. Start again when it is done.")
        return port

    async def start(self) -> None:
        """Serve the data, made at first, and wait until it can be used; or find it served already.

        Raises: CannotStart, if it ends or hangs before.
        """
        until_s = time.monotonic() + _START_S
        while not self._cluster.lock():
            if await self._answers():
                return
            if time.monotonic() > until_s:
                raise CannotStart(
                    f"Another process uses {self._cluster.data}, but answers no questions."
                    " Stop the other `make run`, then start again."
                )
            await asyncio.sleep(_POLL_S)
        if not self._cluster.complete:
            await self._make()
        said = await self._serve()
        while _NOT_GONE in said and time.monotonic() < until_s:
            await asyncio.sleep(_POLL_S)
            said = await self._serve()
        if said:
            raise self._failure("start", [said])

    async def query(self, statement: str) -> list[str] | None:
        """Return the rows of one column, None where the statement fails."""
        command = (str(program("psql")), "-XAtq", "-h", HOST, "-p", str(self.port), "-U", USER)
        done, lines = await run(
            (*command, "-d", DATABASE, "-c", statement),
            environment=clean_environment() | {"PGPASSWORD": self._cluster.password()},
            directory=ROOT,
            guardian=self._guardian,
        )
        return lines if done else None

    async def keep_running(self) -> None:
        """Wait for its end, say so, start it again; return once that is of no use.

        Raises: CannotStart, if it does not come back.
        """
        while True:
            if self._child:
                ending = await asyncio.shield(self._ending)
                if time.monotonic() - self._started_s < _WORTH_RESTARTING_S:
                    break
                self._console.warn(f"Postgres ended ({ending}) and is started again.")
            else:
                await self._until_others_left()
                self._console.warn("The process that served Postgres has ended; this one serves it now.")
            await self.start()
        self._console.warn(f"Postgres ended ({ending}) just after its start. Its log: {self._log_path}")

    async def stop(self) -> None:
        """Stop it in order, or at once where that takes long; wait until it is gone."""
        if self._child:
            self._child.interrupt()
            await asyncio.wait({self._ending}, timeout=_STOP_S)
            self._child.kill()
            await self._ending
        if self._log:
            self._log.close()
        self._cluster.close()

    async def _until_others_left(self) -> None:
        while not self._cluster.lock():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    @property
    def _log_path(self) -> Path:
        return self._cluster.directory / "log"

    async def _answers(self) -> bool:
        command = (str(program("pg_isready")), "-q", "-h", HOST, "-p", str(self.port))
        answered, _ = await run(
            command, environment=clean_environment(), directory=ROOT, guardian=self._guardian
        )
        return answered

    async def _make(self) -> None:
        for command in self._cluster.making_commands():
            done, said = await run(
                command,
                environment=clean_environment(),
                directory=self._cluster.directory,
                guardian=self._guardian,
                inherited=self._cluster.inherited,
            )
            if not done or any("ERROR:" in line for line in said):
                raise self._failure("make its files", said)
        self._cluster.finish()

    async def _serve(self) -> str:
        """Start the server and wait until it is ready; return the last it said if it did not become so."""
        self._log = self._log or LogFile(self._log_path)
        self._started_s = time.monotonic()
        self._ready = asyncio.Event()
        self._said: deque[str] = deque(maxlen=20)
        self._child = await Child.start(
            self._cluster.serving_command(self.port),
            environment=clean_environment(),
            directory=self._cluster.directory,
            guardian=self._guardian,
            on_line=self._take_line,
            inherited=self._cluster.inherited,
        )
        self._ending = asyncio.create_task(self._child.wait())
        if await until_ready(self._ready, self._ending, _START_S):
            return ""
        self._child.kill()
        await self._ending
        return "\n".join(self._said)

    def _take_line(self, line: str) -> None:
        assert self._log
        self._log.write(line)
        self._said.append(line)
        if _READY in line:
            self._ready.set()

    def _failure(self, what: str, said: Sequence[str]) -> CannotStart:
        text = "\n".join(said)
        if "No space left on device" in text:
            return CannotStart(
                f"Postgres cannot {what}: the disk is full. Free some space, then start again."
            )
        reasons = [line for line in text.splitlines() if any(sign in line for sign in ("FATAL:", "rror:"))]
        reason = (reasons or text.splitlines() or ["it ended without a word"])[0]
        return CannotStart(f"Postgres cannot {what}: {reason}. Its log: {self._log_path}")
