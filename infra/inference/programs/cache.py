"""What vLLM compiles when it starts, kept in S3 from one start to the next.

`python3 -c SOURCE restore BUCKET KEY FOLDER COMMAND…` unpacks it, then becomes the command.
`python3 -c SOURCE store BUCKET KEY FOLDER URL` waits until the engine responds at URL, then packs it, if the
engine has compiled anything since.

vLLM finds out by itself whether it can use what is there. No failure here stops an engine, nor does a bucket
that is slow: it compiles again.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT_S, PAUSE_S, TIMEOUT_S = 1800, 5, 5
# An engine compiles in less time than a slower bucket would take.
RESTORE_S = 120
MOST_BYTES = 4 * 1024**3


def files(folder: Path) -> set[str]:
    """Return the files of a folder, by their paths within it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def restored(folder: Path) -> Path:
    """Return the file that lists what was unpacked into a folder."""
    return folder.with_name(f"{folder.name}.restored")


def restore(bucket: Any, key: str, folder: Path) -> int:
    """Unpack what S3 has, all of it or nothing, and return how many files.

    Raises: whatever boto3 and tarfile raise.
    """
    parent = folder.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        archive, unpacked = Path(directory, "archive"), Path(directory, "unpacked")
        bucket.download_file(key, str(archive))
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)
    found = files(folder)
    restored(folder).write_text("\n".join(sorted(found)))
    return len(found)


def store(bucket: Any, key: str, folder: Path) -> int:
    """Pack the folder, if it has files that were not unpacked into it; return how many it has, or 0."""
    found = files(folder)
    listed = restored(folder)
    before = set(listed.read_text().splitlines()) if listed.exists() else set()
    size = sum((folder / name).stat().st_size for name in found)
    if found <= before or size > MOST_BYTES:
        return 0
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory, "archive")
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for name in sorted(found):
                tar.add(folder / name, name)
        bucket.upload_file(str(archive), key)
    return len(found)


def wait(url: str, clock: Callable[[], float], pause: Callable[[float], None]) -> bool:
    """Wait until there is a response, and return whether there was one in time."""
    deadline = clock() + WAIT_S
    while clock() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S):
                return True
        except OSError:  # a refused connection, a timeout, any status above 399
            pause(PAUSE_S)
    return False


def open_bucket(name: str) -> Any:
    """Return the bucket; requests to it fail soon."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    return boto3.resource("s3", config=config).Bucket(name)


def main(verb: str, bucket: str, key: str, folder: str, *rest: str) -> None:
    """Restore, and become the command; or wait, and store."""
    if verb == "store":
        attempt(verb, bucket, key, folder, *rest)
        return
    # The command ends the thread, whose folder is there as a whole or not at all.
    thread = threading.Thread(target=attempt, args=(verb, bucket, key, folder), daemon=True)
    thread.start()
    thread.join(RESTORE_S)
    if thread.is_alive():
        print(f"compile cache: restore: not there after {RESTORE_S} s", file=sys.stderr, flush=True)
    os.execvp(rest[0], rest)


def attempt(verb: str, bucket: str, key: str, folder: str, *rest: str) -> None:
    """Restore, or wait and store; print what has become of it."""
    began = time.monotonic()
    try:
        if verb == "restore":
            count = restore(open_bucket(bucket), key, Path(folder))
        else:
            responded = wait(rest[0], time.monotonic, time.sleep)
            count = store(open_bucket(bucket), key, Path(folder)) if responded else 0
        print(f"compile cache: {verb}: {count} files in {time.monotonic() - began:.1f} s", flush=True)
    except Exception as error:  # noqa: BLE001
        print(f"compile cache: {verb}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
