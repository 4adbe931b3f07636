"""X-Ray's subsegments: what a request waited for, beside what Lambda itself records.

Sent to the daemon that Lambda runs beside a function whose tracing is active, as one datagram for each
request that X-Ray has chosen. The SDKs for it take longer to import than a cold start may.

Source: X-Ray developer guide, "X-Ray segment documents" and "Sending trace data to X-Ray", read 2026-11-27.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

_HEADER = b'{"format":"json","version":1}\n'
_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_PARENT = re.compile(r"[0-9a-f]{16}")

# A name, and when it began and ended, in s since 1970.
Span = tuple[str, float, float]


class Traces:
    """Writes the subsegments of the invocation that runs.

    Shape:  `trace_id` returns the trace header of the invocation that runs. `send` takes a datagram; None: to
            the daemon at AWS_XRAY_DAEMON_ADDRESS, as in 169.254.79.129:2000.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        trace_id: Callable[[], str],
        send: Callable[[bytes], None] | None = None,
    ) -> None:
        self._environ, self._trace_id, self._send = environ, trace_id, send or self._to_daemon

    def write(self, span: Span, parts: Sequence[Span], about: Mapping[str, str]) -> None:
        """Write one subsegment with its parts; nothing where X-Ray has not chosen this invocation.

        Shape:  `about`: what traces can be searched by.
        """
        header = dict(part.strip().partition("=")[::2] for part in self._trace_id().split(";"))
        root, parent = header.get("Root", ""), header.get("Parent", "")
        if header.get("Sampled") != "1" or not _ROOT.fullmatch(root) or not _PARENT.fullmatch(parent):
            return
        document = {
            **_subsegment(span),
            "type": "subsegment",
            "trace_id": root,
            "parent_id": parent,
            "namespace": "remote",
            "annotations": dict(about),
            "subsegments": [_subsegment(part) for part in parts],
        }
        self._send(_HEADER + json.dumps(document, separators=(",", ":")).encode())

    def _to_daemon(self, datagram: bytes) -> None:
        host, _, port = self._environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
        if host and port.isdecimal():
            # A lost span costs a request nothing, and a socket that is kept would be one in a snapshot, too.
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
                connection.setblocking(False)
                connection.sendto(datagram, (host, int(port)))


def _subsegment(span: Span) -> dict[str, object]:
    name, began, ended = span
    return {"id": secrets.token_hex(8), "name": name, "start_time": began, "end_time": ended}
