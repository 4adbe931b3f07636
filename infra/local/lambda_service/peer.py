"""Which process is at the other end of a loopback connection, as Linux reports it in /proc."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

Address = tuple[str, int]
# What is read changes meanwhile: the kernel's table may leave a row out.
_TRIES = 3


def is_of_session(session: int, peer: Address, own: Address, proc: Path = Path("/proc")) -> bool:
    """Return whether a process of a session holds the other end; True on systems that do not report it.

    Shape:  `session` is the id of the process that leads it.
    Source: proc(5), /proc/net/tcp and /proc/pid/fd, read 2026-11-26.
    """
    return any(_is_of_session(session, peer, own, proc) for _ in range(_TRIES))


def _is_of_session(session: int, peer: Address, own: Address, proc: Path) -> bool:
    ends = [_hexadecimal(peer), _hexadecimal(own)]
    sockets = set()
    reports = False  # our listener, which has the same address as our end
    for table in ("net/tcp", "net/tcp6"):  # an IPv6 socket may be connected to an IPv4 address
        with suppress(OSError):
            for line in (proc / table).read_text().splitlines():
                row = line.split()
                reports = reports or row[1][-len(ends[1]) :] == ends[1]
                if [end[-len(ends[0]) :] for end in row[1:3]] == ends:
                    sockets.add(f"socket:[{row[9]}]")
    return not reports or not sockets.isdisjoint(_open_files(session, proc))


def _hexadecimal(address: Address) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


def _open_files(session: int, proc: Path) -> Iterator[str]:
    for name in os.listdir(proc):
        with suppress(OSError):  # a process that ends meanwhile
            if name.isdigit() and os.getsid(int(name)) == session:
                for descriptor in os.listdir(proc / name / "fd"):
                    with suppress(OSError):  # a file that is closed meanwhile
                        yield os.readlink(proc / name / "fd" / descriptor)
