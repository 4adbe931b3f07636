"""What the process environment says, read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

from ._errors import Fault
from ._events import FunctionInfo
from ._response import STALL_S


class Settings(NamedTuple):
    """The runtime's own settings; all but `streams` and `stall_s` are set by Lambda."""

    api_address: str
    handler: str
    function: FunctionInfo
    snap_start: bool
    max_concurrency: str | None
    """Set on Lambda Managed Instances: how many invocations one environment is given at once."""
    streams: tuple[str, ...] | None
    """Of `LAMBDA_STREAMS`: replaces the handler's own `streams`; empty means that nothing streams."""
    stall_s: float
    """Of `LAMBDA_STREAM_STALL_S`: seconds in which a caller may take nothing of its reply."""
    log_json: bool
    log_level: str
    log_fd: int | None
    log_socket: str | None

    @property
    def concurrency(self) -> int:
        """How many invocations are served at once; 0 where it is one after the other.

        Raises: Fault: the environment names no such number.
        """
        value = self.max_concurrency
        if value is None:
            return 0
        if not (value.isascii() and value.isdecimal() and int(value)):
            raise Fault(
                "Runtime.ConfigInvalid",
                f"expected AWS_LAMBDA_MAX_CONCURRENCY to be a number but got {value!r}",
            )
        return int(value)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], arguments: list[str]) -> Self:
        """Read the environment; a handler named as argument wins.

        Raises: KeyError: started neither by Lambda nor by an emulator of it.
        """
        streams, log_fd = environ.get("LAMBDA_STREAMS"), environ.get("_LAMBDA_TELEMETRY_LOG_FD")
        max_concurrency = environ.get("AWS_LAMBDA_MAX_CONCURRENCY")
        log_json = environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        return cls(
            api_address=environ["AWS_LAMBDA_RUNTIME_API"],
            handler=arguments[0] if arguments else environ["_HANDLER"],
            function=FunctionInfo.from_environ(environ),
            snap_start=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
            max_concurrency=max_concurrency,
            streams=None if streams is None else tuple(streams.replace(",", " ").split()),
            stall_s=float(environ.get("LAMBDA_STREAM_STALL_S") or STALL_S),
            log_json=log_json or max_concurrency is not None,
            log_level=environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper(),
            log_fd=int(log_fd) if log_fd else None,
            log_socket=environ.get("_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET"),
        )
