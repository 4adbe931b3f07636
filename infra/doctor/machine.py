"""This machine, and what it reaches besides AWS's own calls."""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from typing import Protocol

from infra.bundling.commands import node
from infra.bundling.errors import BundleError
from infra.bundling.interpreter import find_python
from infra.bundling.prisma_layer import add_certificates

_TIMEOUT_S = 8
# AWS documents it as reachable by IPv6: without an address of it, this machine's resolver has none of any.
_DUAL_STACK = "s3.dualstack.us-east-1.amazonaws.com"


class Machine(Protocol):
    """What the checks need of a machine."""

    def python(self, version: str) -> str | None:
        """Return the path of a Python of this version, None where there is none."""
        ...

    def node(self) -> str | None:
        """Return the version of Node.js, None where there is none."""
        ...

    def certificate_regions(self) -> frozenset[str]:
        """Return the regions whose certificates of RDS the todo function would have.

        Raises: BundleError.
        """
        ...

    def has_ipv6(self, host: str) -> bool | None:
        """Return whether a name has an IPv6 address; None: this machine cannot look that up."""
        ...

    def request(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body.

        Raises: OSError: no response.
        """
        ...


class ThisMachine:
    """The machine that runs this."""

    def python(self, version: str) -> str | None:
        try:
            return find_python(version, download=False)
        except BundleError:
            return None

    def node(self) -> str | None:
        try:
            done = subprocess.run((node(), "--version"), capture_output=True, text=True, timeout=_TIMEOUT_S)
        except (BundleError, OSError, subprocess.TimeoutExpired):
            return None
        found = re.fullmatch(r"v(\d+\.\d+\.\d+)", done.stdout.strip())
        return found[1] if found else None

    def certificate_regions(self) -> frozenset[str]:
        with tempfile.TemporaryDirectory() as folder:
            add_certificates(Path(folder))
            return frozenset(file.stem for file in Path(folder, "rds-ca").glob("*.pem"))

    def has_ipv6(self, host: str) -> bool | None:
        if _resolves(host):
            return True
        return False if _resolves(_DUAL_STACK) else None

    def request(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        request = urllib.request.Request(url, method=method, headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                return response.status, _lower(response.headers), response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), b""
        except urllib.error.URLError as error:
            raise OSError(str(error.reason)) from None


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, 443, socket.AF_INET6, socket.SOCK_STREAM))
    except OSError:
        return False


def _lower(headers: Message) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}
