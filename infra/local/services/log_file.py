from pathlib import Path

_MAX_BYTES = 1_000_000


class LogFile:
    """A log of bounded size: the file that is written, and the one before it. Only its owner can read it."""

    def __init__(self, path: Path, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._open()

    def write(self, line: str) -> None:
        """Add a line, which is on disk when this returns."""
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
