"""A log that takes no more than a bounded room: one file being written, and the one before it."""

from pathlib import Path

_MAX_BYTES = 1_000_000


class LogFile:
    """Lines, the last of which are kept; only their owner can read them."""

    def __init__(self, path: Path, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._open()

    def write(self, line: str) -> None:
        """Add a line, on disk before this returns."""
        if self._file.tell() >= self._max_bytes:
            self.close()
            self.path.rename(self.path.with_name(f"{self.path.name}.before"))
            self._open()
        self._file.write(f"{line}\n")

    def close(self) -> None:
        self._file.close()

    def _open(self) -> None:
        self.path.touch(mode=0o600)
        self._file = self.path.open("a", buffering=1)
