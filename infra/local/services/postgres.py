"""Postgres on this machine: started, started again if it dies, shut down cleanly.

Where another process of the clone serves the same files, its server is used; when that process ends, this
one serves them in its place, on the same port.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.loopback import HOST
from infra.local.processes import Child, Guardian, run, until_ready
from infra.local.services.log_file import LogFile
from infra.local.services.postgres_cluster import DATABASE, USER, Cluster, clean_environment, program
from infra.paths import ROOT

DIRECTORY = ROOT / ".local" / "postgres"
_READY = "database system is ready to accept connections"
# Some processes of a server that was killed still run.
_STILL_RUNNING = "pre-existing shared memory block"
_START_S = 30
_STOP_S = 1.2
_POLL_S = 0.1
# One that ends sooner than this after its start may end again, as a recovery that is killed does.
_WORTH_RESTARTING_S = 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


class PostgresServer:
    """A server on loopback that keeps its port; its data outlives it."""

    def __init__(self, guardian: Guardian, console: Console, *, directory: Path = DIRECTORY) -> None:
        self._guardian, self._console = guardian, console
        self._cluster = Cluster(directory)
        port = self._cluster.choose_port() if self._cluster.lock() else self._cluster.port()
        if port is None:
            raise CannotStart("Another process sets up Postgres in this clone. Start again when it is done.")
        self.port = port
        self.url = self._cluster.url(self.port)
        self._child: Child | None = None
        self._log: LogFile | None = None

    async def start(self) -> None:
        """Serve the data, created at first, until it can be used; or use the server of another process.

        Raises: CannotStart, if it ends or hangs before.
        """
        until_s = time.monotonic() + _START_S
        ready = (str(program("pg_isready")), "-q", "-h", HOST, "-p", str(self.port))
        while not self._cluster.lock():
            if (await self._run(ready))[0]:
                return
            if time.monotonic() > until_s:
                raise CannotStart(
                    f"Another process uses {self._cluster.data}, but does not respond."
                    " Stop the other `make run`, then start again."
                )
            await asyncio.sleep(_POLL_S)
        if not self._cluster.complete:
            for command in self._cluster.creation_commands():
                succeeded, lines = await self._run(command, inherited=self._cluster.inherited)
                if not succeeded or any("ERROR:" in line for line in lines):
                    raise self._failure("create its files", "\n".join(lines))
            self._cluster.finish()
        output = await self._serve()
        while _STILL_RUNNING in output and time.monotonic() < until_s:
            await asyncio.sleep(_POLL_S)
            output = await self._serve()
        if output:
            raise self._failure("start", output)

    async def query(self, statement: str) -> list[str] | None:
        """Return the rows of one column, None where the statement fails."""
        psql = (str(program("psql")), "-XAtq", "-h", HOST, "-p", str(self.port), "-U", USER, "-d", DATABASE)
        succeeded, lines = await self._run((*psql, "-c", statement), PGPASSWORD=self._cluster.password())
        return lines if succeeded else None

    async def keep_running(self) -> None:
        """Start it again whenever it ends: at once, or after a pause, which doubles while it ends early."""
        pause_s = 0.0
        while True:
            if self._child:
                ending = await asyncio.shield(self._ending)
                if time.monotonic() - self._started_s >= _WORTH_RESTARTING_S:
                    pause_s = 0.0
                self._console.warn(f"Postgres ended ({ending}) and is started again{_after(pause_s)}.")
            elif not self._cluster.lock():
                while not self._cluster.lock():  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
                self._console.warn("The process that served Postgres has ended; this one serves it now.")
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) or _FIRST_PAUSE_S
                try:
                    await self.start()
                    break
                except CannotStart as error:
                    self._console.warn(f"{error} It is started again{_after(pause_s)}.")

    async def stop(self) -> None:
        """Shut it down cleanly, or kill it where that takes long; wait until it is gone."""
        if self._child:
            self._child.interrupt()
            await asyncio.wait({self._ending}, timeout=_STOP_S)
            self._child.kill()
            await self._ending
        if self._log:
            self._log.close()
        self._cluster.close()

    @property
    def _log_path(self) -> Path:
        return self._cluster.directory / "log"

    async def _run(
        self, command: Sequence[str], *, inherited: Sequence[int] = (), **variables: str
    ) -> tuple[bool, list[str]]:
        return await run(
            command,
            environment=clean_environment() | variables,
            directory=self._cluster.directory,
            guardian=self._guardian,
            inherited=inherited,
        )

    async def _serve(self) -> str:
        """Start the server and wait until it is ready; return its last output if it fails."""
        self._log = self._log or LogFile(self._log_path)
        self._started_s = time.monotonic()
        self._ready = asyncio.Event()
        self._output: deque[str] = deque(maxlen=20)
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
        return "\n".join(self._output)

    def _take_line(self, line: str) -> None:
        assert self._log
        self._log.write(line)
        self._output.append(line)
        if _READY in line:
            self._ready.set()

    def _failure(self, what: str, output: str) -> CannotStart:
        if "No space left on device" in output:
            return CannotStart(
                f"Postgres cannot {what}: the disk is full. Free some space, then start again."
            )
        lines = output.splitlines()
        errors = [line for line in lines if "FATAL:" in line or "rror:" in line]
        reason = (errors or lines or ["it ended without a message"])[0]
        return CannotStart(f"Postgres cannot {what}: {reason}. Its log: {self._log_path}")


def _after(pause_s: float) -> str:
    return f" in {pause_s:g} s" if pause_s else ""
