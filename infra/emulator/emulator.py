"""AWS's emulator, with one function in it."""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.emulator.binary import emulator_binary
from infra.emulator.errors import CannotInvoke

_START_S = 20
_STOP_S = 5
_INVOCATIONS = "/2015-03-31/functions/function/invocations"


class Emulator:
    """Invokes the function that runs in it."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self._port, self._timeout_s = port, timeout_s

    def invoke(self, event: Any) -> bytes:
        """Return the function's reply, once it is complete.

        Raises: CannotInvoke.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout_s + _START_S)
        try:
            connection.request("POST", _INVOCATIONS, json.dumps(event))
            return connection.getresponse().read()
        except OSError as error:
            raise CannotInvoke(
                f"AWS's emulator ended without a reply ({error}). Its log says why."
            ) from error
        finally:
            connection.close()


@contextmanager
def emulator(
    command: Sequence[str], variables: Mapping[str, str], *, folder: Path, timeout_s: float
) -> Iterator[Emulator]:
    """Run a function in the emulator for as long as the context lasts; the output of both goes to stderr.

    Raises: CannotInvoke.
    """
    port = _free_port()
    addresses = (
        *("--runtime-api-address", f"127.0.0.1:{_free_port()}"),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
    )
    process = subprocess.Popen(
        (str(emulator_binary()), *addresses, "--log-level", "error", *command),
        env={**variables, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(timeout_s))},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=2,
        process_group=0,
    )
    try:
        _wait_until_listening(process, port)
        yield Emulator(port, timeout_s)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise CannotInvoke(
        f"Expected AWS's emulator to listen on port {port}, but it does not. Its log says why."
    )
