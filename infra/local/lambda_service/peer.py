"""Which process is at the other end of a loopback connection, as Linux reports it in /proc.

The table of connections takes milliseconds to read, and has thousands of rows on some machines: it is read
for many connections at once, and its rows are not split.
"""

import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

Address = tuple[str, int]
# What is read changes meanwhile: the kernel's table may leave a row out.
_TRIES = 3
# A socket of IPv6 may be connected to an address of IPv4.
_IPV4_IN_IPV6 = "0000000000000000FFFF0000"


def peers_of_session(
    session: int, peers: Collection[Address], own: Address, proc: Path = Path("/proc")
) -> set[Address]:
    """Return those of our connections' other ends that a process of a session holds.

    Shape:  `session` is the id of the process that leads it, `own` our end of all; all of the ends on systems
            that do not report it.
    Source: proc(5), /proc/net/tcp and /proc/pid/fd, read 2026-11-26.
    """
    found: set[Address] = set()
    for _ in range(_TRIES):
        if missing := set(peers) - found:
            found |= _peers_of_session(session, missing, own, proc)
    return found


def _peers_of_session(session: int, peers: Collection[Address], own: Address, proc: Path) -> set[Address]:
    sockets = {}
    reports = False  # our listener, which has the same address as our end
    our_end = _hexadecimal(own)
    for table, prefix in (("net/tcp", ""), ("net/tcp6", _IPV4_IN_IPV6)):
        with suppress(OSError):
            rows = (proc / table).read_text()
            reports = reports or f": {prefix}{our_end} " in rows
            for peer in peers:
                _, _, row = rows.partition(f": {prefix}{_hexadecimal(peer)} {prefix}{our_end} ")
                if row:
                    sockets[f"socket:[{row.split(maxsplit=7)[6]}]"] = peer
    if not reports:
        return set(peers)
    found = set()
    for file in _open_files(session, proc):
        if file in sockets:
            found.add(sockets.pop(file))
        if not sockets:
            break
    return found


def _hexadecimal(address: Address) -> str:
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


def _open_files(session: int, proc: Path) -> Iterator[str]:
    """Return what the processes of a session have open, its leader first: mostly it is the only one."""
    for name in (str(session), *os.listdir(proc)):
        with suppress(OSError):  # a process that ends meanwhile
            if name.isdigit() and os.getsid(int(name)) == session:
                for descriptor in os.listdir(proc / name / "fd"):
                    with suppress(OSError):  # a file that is closed meanwhile
                        yield os.readlink(proc / name / "fd" / descriptor)
