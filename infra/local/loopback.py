"""The loopback interface, which nothing outside this machine reaches.

Web pages do: the browser of this machine carries their requests. So each of our servers checks the names by
which it is called.
"""

import errno
import socket
from collections.abc import Collection

from infra.local.errors import CannotStart

HOST = "127.0.0.1"
NAMES = ("localhost", HOST, "[::1]")


def is_named(host: str, names: Collection[str] = NAMES) -> bool:
    """Return whether a Host header is one of these names, with or without a port.

    A page of another name that resolves to this machine (DNS rebinding) sends that name.
    """
    name, colon, port = host.lower().rpartition(":")
    return host.lower() in names or (bool(colon) and name in names and port.isascii() and port.isdigit())


def bind(port: int) -> socket.socket:
    """Return a listener on a port, 0 for a free one.

    Raises: CannotStart, where the port is taken or not allowed.
    """
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it a reply waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise CannotStart(f"Port {port} {what}. Choose another: make run PORT={port + 1}") from error
    return listener


def free_port(preferred: int = 0) -> int:
    """Return a port that is free now: the preferred one if it is, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise CannotStart("No port is free on the loopback interface.")
