"""The clone's Postgres as `make run` keeps it: created, served, killed, found again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import StringIO
from pathlib import Path

import psutil
import pytest

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Guardian
from infra.local.services import postgres, postgres_cluster, system_account
from infra.local.services.postgres import PostgresServer
from infra.paths import ROOT

pytestmark = pytest.mark.slow
Scenario = Callable[[PostgresServer], Awaitable[None]]


class Terminal:
    """What the console shows."""

    def __init__(self) -> None:
        self.log = StringIO()
        self.console = Console(out=self.log, log=self.log)

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(10):
            while text not in self.log.getvalue():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(directory: Path, terminal: Terminal | None = None) -> AsyncIterator[PostgresServer]:
    with Guardian() as guardian:
        server = PostgresServer(guardian, (terminal or Terminal()).console, directory=directory)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


def run(directory: Path, scenario: Scenario) -> None:
    async def scene() -> None:
        async with running(directory) as server:
            await scenario(server)

    asyncio.run(scene())


async def nothing(_: PostgresServer) -> None:
    pass


async def note(server: PostgresServer) -> None:
    assert await server.query("CREATE TABLE note (text TEXT)") == []
    assert await server.query("INSERT INTO note VALUES ('kept')") == []


async def has_note(server: PostgresServer) -> None:
    assert await server.query("SELECT text FROM note") == ["kept"]


async def until_it_has_a_note(server: PostgresServer) -> None:
    async with asyncio.timeout(20):  # recovery waits for the disk
        while await server.query("SELECT text FROM note") != ["kept"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def postmaster(directory: Path) -> psutil.Process:
    return psutil.Process(int((directory / "data/postmaster.pid").read_text().splitlines()[0]))


def children() -> set[psutil.Process]:
    """Return all servers that this process has started; other tests keep some."""
    return {each for each in psutil.Process().children(recursive=True) if each.name() == "postgres"}


def test_data_port_and_password_outlive_the_server_and_are_for_their_owner_only(tmp_path: Path) -> None:
    urls = set()

    async def first(server: PostgresServer) -> None:
        await note(server)
        urls.add(server.url)

    async def second(server: PostgresServer) -> None:
        await has_note(server)
        urls.add(server.url)
        listening = [each.laddr for each in postmaster(tmp_path / "pg").net_connections("inet")]
        assert listening == [("127.0.0.1", server.port)]

    run(tmp_path / "pg", first)
    run(tmp_path / "pg", second)
    assert len(urls) == 1
    for path in (tmp_path / "pg", *(tmp_path / "pg").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    password = (tmp_path / "pg/password").read_text().strip()
    assert password not in (tmp_path / "pg/log").read_text()


def test_what_was_kept_survives_a_kill_and_a_lock_file_that_names_a_living_process(tmp_path: Path) -> None:
    async def killed(server: PostgresServer) -> None:
        await note(server)
        postmaster(tmp_path).kill()

    run(tmp_path, killed)
    pid_file = tmp_path / "data/postmaster.pid"
    assert pid_file.exists()
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split()[0], str(os.getpid()), 1))
    run(tmp_path, has_note)


def test_a_server_that_dies_is_started_again_on_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_WORTH_RESTARTING_S", 0)

    async def scene() -> None:
        terminal = Terminal()
        async with running(tmp_path, terminal) as server:
            keeping = asyncio.create_task(server.keep_running())
            await note(server)
            postmaster(tmp_path).kill()
            await terminal.shows("Postgres ended (signal SIGKILL) and is started again.")
            await until_it_has_a_note(server)
            keeping.cancel()

    asyncio.run(scene())


def test_a_server_that_dies_again_and_again_is_started_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it starts and recovers from the death before."""
    monkeypatch.setattr(postgres, "_FIRST_PAUSE_S", 0.01)

    async def scene() -> None:
        terminal = Terminal()
        async with running(tmp_path, terminal) as server:
            keeping = asyncio.create_task(server.keep_running())
            await note(server)
            for _ in range(3):
                dying = postmaster(tmp_path)
                dying.kill()
                async with asyncio.timeout(10):
                    while not is_another(tmp_path, dying):  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            await until_it_has_a_note(server)
            keeping.cancel()
        assert "Postgres ended (signal SIGKILL) and is started again in 0.01 s." in terminal.log.getvalue()

    asyncio.run(scene())


def is_another(directory: Path, dead: psutil.Process) -> bool:
    try:
        return postmaster(directory).pid != dead.pid
    except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
        return False


def test_a_server_that_cannot_start_is_tried_again_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_FIRST_PAUSE_S", 0.1)

    async def scene() -> None:
        terminal = Terminal()
        async with running(tmp_path, terminal) as server:
            await note(server)
            with monkeypatch.context() as patch:
                patch.setitem(postgres_cluster._SETTINGS, "shared_buffers", "much")
                keeping = asyncio.create_task(server.keep_running())
                postmaster(tmp_path).kill()
                await terminal.shows("It is started again in 0.2 s.")
            await until_it_has_a_note(server)
            keeping.cancel()
        assert "Postgres cannot start: " in terminal.log.getvalue()

    asyncio.run(scene())


def test_another_run_of_the_clone_uses_the_same_server_and_takes_it_over(tmp_path: Path) -> None:
    async def scene() -> None:
        terminal = Terminal()
        async with AsyncExitStack() as first_run:
            first = await first_run.enter_async_context(running(tmp_path))
            await note(first)
            async with running(tmp_path, terminal) as second:
                assert second.url == first.url
                keeping = asyncio.create_task(second.keep_running())
                await first_run.aclose()
                await terminal.shows("this one serves it now")
                await until_it_has_a_note(second)
                keeping.cancel()

    asyncio.run(scene())


def test_a_creation_that_was_interrupted_starts_again(tmp_path: Path) -> None:
    async def cut_off() -> None:
        with Guardian() as guardian:
            server = PostgresServer(guardian, Terminal().console, directory=tmp_path)
            starting = asyncio.create_task(server.start())
            async with asyncio.timeout(5):
                while not (tmp_path / "data.new/PG_VERSION").exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            starting.cancel()
            await asyncio.wait({starting})
            await server.stop()

    before = children()
    asyncio.run(cut_off())
    assert children() <= before
    assert not (tmp_path / "data").exists()
    run(tmp_path, note)
    assert not (tmp_path / "data.new").exists()


def test_a_port_that_another_process_uses_is_not_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "port").write_text(f"{taken.getsockname()[1]}\n")

        async def scenario(server: PostgresServer) -> None:
            assert server.port != taken.getsockname()[1]
            assert (tmp_path / "port").read_text() == f"{server.port}\n"

        run(tmp_path, scenario)


def test_data_of_another_version_is_reported_and_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match=r"Expected data of Postgres 18 .* but got 17\. Move it away: mv "):
        run(tmp_path, nothing)
    assert (tmp_path / "data/PG_VERSION").exists()


def test_the_reason_why_it_does_not_start_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_cluster._SETTINGS, "shared_buffers", "much")
    with pytest.raises(CannotStart, match=r"Postgres cannot .*shared_buffers.* Its log: "):
        run(tmp_path, nothing)


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("/bin/sh", "-c", "echo 'FATAL: could not write: No space left on device'; exit 1")
    monkeypatch.setattr(postgres_cluster.Cluster, "creation_commands", lambda _: [command])
    with pytest.raises(CannotStart, match="the disk is full"):
        run(tmp_path, nothing)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its account")
@pytest.mark.parametrize("number", [0, 1], ids=["namespace", "unprivileged"])
def test_root_runs_it_as_another_user(
    number: int, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = list(system_account.root_accounts(0))[number]
    if not chosen.can_run(postgres_cluster.program("postgres"), open_folder):
        pytest.skip("not permitted on this machine")
    run(open_folder / "pg", note)
    monkeypatch.setattr(system_account, "root_accounts", lambda _: [chosen])

    async def scenario(server: PostgresServer) -> None:
        await has_note(server)
        assert (open_folder / "pg/data").stat().st_uid == chosen.owner

    run(open_folder / "pg", scenario)


AS_ANOTHER_USER = """
import asyncio, pathlib, sys
from infra.local.console import Console
from infra.local.services.postgres import PostgresServer
from infra.local.processes import Guardian

async def serve(guardian):
    server = PostgresServer(guardian, Console(), directory=pathlib.Path(sys.argv[1]))
    await server.start()
    print(await server.query("SELECT 1"))
    await server.stop()

with Guardian() as guardian:
    asyncio.run(serve(guardian))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_runs_it(open_folder: Path) -> None:
    os.chown(open_folder, 65534, 65534)
    account = next(each for each in system_account.root_accounts(0) if each.owner)
    for python in (Path(sys.executable), Path("/usr/bin/python3")):
        if account.can_run(python, ROOT):
            break
    else:
        pytest.skip("an unprivileged user cannot reach the clone or any Python")
    ended = subprocess.run(
        (str(python), "-B", "-c", AS_ANOTHER_USER, str(open_folder / "pg")),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"},
        user=65534,
        group=65534,
        extra_groups=(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == ("['1']\n", 0), ended.stderr


def test_no_process_of_it_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, asyncio, pathlib, tests.integration.local.services.test_postgres as t;"
        "wait = lambda _: (print('up', flush=True), asyncio.sleep(60))[1];"
        "t.run(pathlib.Path(sys.argv[1]), wait)"
    )
    with subprocess.Popen(
        (sys.executable, "-c", script, str(tmp_path)), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        processes = psutil.Process(parent.pid).children(recursive=True)
        assert len(processes) > 3
        parent.send_signal(signal.SIGKILL)
    assert not psutil.wait_procs(processes, timeout=3)[1]
    run(tmp_path, note)
