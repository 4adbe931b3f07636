"""Which process has a connection."""

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.lambda_service.peer import peers_of_session

CONNECT = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.connect((sys.argv[1], int(sys.argv[2])))
s.recv(1)
"""
BUSY = """
import threading
def read():
    while True:
        open("/dev/null").close()
threading.Thread(target=read, daemon=True).start()
files = [open("/dev/null") for _ in range(20)]
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_a_connection_is_of_the_session_that_opened_it(address: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            (sys.executable, "-c", CONNECT, address, str(listener.getsockname()[1])), start_new_session=True
        ) as other,
        listener.accept()[0] as connection,
    ):
        peer, own = connection.getpeername(), connection.getsockname()
        assert peers_of_session(other.pid, [peer], own) == {peer}
        assert not peers_of_session(os.getsid(0), [peer], own)


@linux
def test_a_process_that_opens_and_closes_files_meanwhile_is_found() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            (sys.executable, "-c", BUSY + CONNECT, "127.0.0.1", str(listener.getsockname()[1])),
            start_new_session=True,
        ) as other,
        listener.accept()[0] as connection,
    ):
        peer, own = connection.getpeername(), connection.getsockname()
        assert all(peers_of_session(other.pid, [peer], own) for _ in range(200))


@linux
def test_a_connection_that_is_closed_already_is_of_no_session() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        with listener.accept()[0] as connection:
            peer, own = connection.getpeername(), connection.getsockname()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            assert not peers_of_session(os.getsid(0), [peer], own)


def test_a_system_that_does_not_report_connections_lets_them_pass(tmp_path: Path) -> None:
    peer, own = ("127.0.0.1", 1), ("127.0.0.1", 2)
    assert peers_of_session(1, [peer], own, proc=tmp_path) == {peer}


@linux
def test_of_many_connections_each_has_its_own_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        own = listener.getsockname()
        command = (sys.executable, "-c", CONNECT, own[0], str(own[1]))
        with subprocess.Popen(command, start_new_session=True) as other, listener.accept()[0] as theirs:
            with socket.create_connection(own) as mine, listener.accept()[0]:
                peers = [theirs.getpeername(), mine.getsockname()]
                assert peers_of_session(other.pid, peers, own) == {peers[0]}
            other.kill()
