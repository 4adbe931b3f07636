"""A throw-away Postgres: real, on a free port, faster than durable, gone at the end of the context."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from infra.local.loopback import HOST
from infra.local.processes import Guardian
from infra.local.services.postgres_cluster import DATABASE, USER, Cluster, clean_environment, program

READY = "ready to accept connections"
_DURABLE = {"max_connections": "200"}
_SETTINGS = {**_DURABLE, "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """A server, its files and its port; both outlive `kill` and `stop`."""

    def __init__(self, directory: Path, guardian: Guardian, *, durable: bool = False) -> None:
        self._cluster = Cluster(directory)
        self._guardian = guardian
        self._settings = _SETTINGS if not durable else _DURABLE
        self.log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        assert self._cluster.lock(), f"expected no other process in {directory}"
        if not self._cluster.complete:
            for command in self._cluster.creation_commands():
                subprocess.run(command, env=clean_environment(), capture_output=True, check=True)
            self._cluster.finish()
        self.port = self._cluster.choose_port()
        self.start()

    def url(self, database: str = DATABASE, schema: str | None = None) -> str:
        """Return the address of a database, for Prisma with a schema of its own in it."""
        return self._cluster.url(self.port, database, {"schema": schema} if schema else {})

    def create_database(self) -> str:
        """Create an empty database; return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self.run_sql(f'CREATE DATABASE "{name}"')
        return name

    def run_sql(self, statement: str, database: str = DATABASE) -> str:
        """Run SQL; return what psql prints, a row a line, columns apart by |."""
        command = (program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", str(self.port))
        done = subprocess.run(
            (*command, "-U", USER, "-d", database, "-c", statement),
            env=clean_environment() | {"PGPASSWORD": self._cluster.password()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def runs(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with self.log.open("ab") as log:
            began = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                self._cluster.serving_command(self.port, self._settings),
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guardian.watch(self._process.pid)
        self._wait_until_ready(began)

    def _wait_until_ready(self, began: int) -> None:
        assert self._process
        while True:
            with self.log.open("rb") as log:
                log.seek(began)
                output = log.read().decode()
            if READY in output:
                return
            try:
                self._process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"Postgres did not start: {output}")

    def stop(self) -> None:
        """Shut it down cleanly: open transactions are rolled back, connections end."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Shut it down cleanly and start it again."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if not process:
            return
        backends = psutil.Process(process.pid).children()
        process.send_signal(number)
        if number == signal.SIGKILL:
            for backend in backends:
                with suppress(psutil.NoSuchProcess):
                    backend.kill()
        process.wait(10)
        psutil.wait_procs(backends, 5)
        self._guardian.forget(process.pid)

    def close(self) -> None:
        self.kill()
        self._cluster.close()


@contextmanager
def run_postgres(directory: Path, *, durable: bool = False) -> Iterator[Postgres]:
    """Serve a new cluster in a directory of its own for as long as the context lasts.

    `durable`: it keeps what it acknowledged, as in production, whatever happens to it.
    """
    with Guardian() as guardian:
        postgres = Postgres(directory, guardian, durable=durable)
        try:
            yield postgres
        finally:
            postgres.close()
            shutil.rmtree(directory, ignore_errors=True)


def rds_secret(url: str, **changes: object) -> str:
    """Return the text of the secret that RDS keeps about a database."""
    parts = urlsplit(url)
    fields = {
        "username": parts.username,
        "password": parts.password,
        "host": parts.hostname,
        "port": parts.port,
        "dbname": parts.path[1:],
        "engine": "postgres",
    }
    return json.dumps(fields | changes)
