"""The engine's compile cache: through a real S3 of moto's, and around a program that stands for vLLM."""

import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from infra.inference.caching import restoring, storing
from infra.inference.programs import cache
from infra.inference.sources import source

KEY = "cache/a/b/0f.tar.gz"
VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
VLLM = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getpid()]), flush=True)"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    made = boto3.resource("s3", endpoint_url=endpoint).Bucket("weights")
    made.create()
    made.objects.all().delete()
    return made


def compiled(folder: Path, *names: str) -> None:
    """Write as vLLM does when it compiles."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"compiled {name}")


def run(endpoint: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run as ECS does."""
    environment = {**os.environ, **VARIABLES, "AWS_ENDPOINT_URL": endpoint}
    python = [sys.executable, *command]
    return subprocess.run(python, env=environment, check=False, capture_output=True, text=True, timeout=60)


def test_what_was_compiled_is_there_at_the_next_start(bucket: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "first" / "vllm", tmp_path / "second" / "vllm"
    compiled(first, "torch_compile_cache/a/graph.py", "torch_compile_cache/a/b/kernel.so")
    assert cache.store(bucket, KEY, first) == 2
    assert cache.restore(bucket, KEY, second) == 2
    assert cache.files(second) == cache.files(first)
    assert (
        second / "torch_compile_cache/a/graph.py"
    ).read_text() == "compiled torch_compile_cache/a/graph.py"
    assert [each.name for each in sorted(second.parent.iterdir())] == ["vllm", "vllm.restored"]


def test_what_was_restored_is_not_stored_again_unless_something_is_new(bucket: Any, tmp_path: Path) -> None:
    folder = tmp_path / "vllm"
    compiled(folder, "graph.py")
    cache.store(bucket, KEY, folder)
    cache.restore(bucket, KEY, folder)
    assert cache.store(bucket, KEY, folder) == 0
    compiled(folder, "another.py")
    assert cache.store(bucket, KEY, folder) == 2


def test_nothing_is_stored_of_an_engine_that_compiled_nothing(bucket: Any, tmp_path: Path) -> None:
    assert cache.store(bucket, KEY, tmp_path / "vllm") == 0
    assert list(bucket.objects.all()) == []


def test_a_cache_larger_than_the_disk_has_room_for_is_not_stored(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 3)
    compiled(tmp_path / "vllm", "graph.py")
    assert cache.store(bucket, KEY, tmp_path / "vllm") == 0


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_cache_that_cannot_be_read_leaves_nothing_behind(
    bucket: Any, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        bucket.put_object(Key=KEY, Body=content)
    with pytest.raises((ClientError, tarfile.ReadError)):
        cache.restore(bucket, KEY, tmp_path / "vllm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bucket")
def test_the_engine_starts_in_the_restoring_process_also_without_a_cache(
    endpoint: str, tmp_path: Path
) -> None:
    _, *before = restoring("weights", KEY)
    before[-1] = str(tmp_path / "vllm")
    done = run(endpoint, *before, sys.executable, "-c", VLLM, "serve", "s3://model")
    assert done.returncode == 0, done.stderr
    arguments, _ = json.loads(done.stdout)
    assert arguments == ["serve", "s3://model"]
    assert "compile cache: restore: ClientError" in done.stderr


def test_the_engine_starts_where_nothing_answers(tmp_path: Path) -> None:
    command = ["-c", source("cache"), "restore", "weights", KEY, str(tmp_path / "vllm")]
    done = run("http://127.0.0.1:9", *command, sys.executable, "-c", VLLM, "serve")
    assert json.loads(done.stdout)[0] == ["serve"]
    without_boto3 = [sys.executable, "-S", *command, sys.executable, "-c", VLLM, "serve"]
    assert subprocess.run(without_boto3, check=True, capture_output=True, timeout=60).stdout


def test_the_engine_does_not_wait_for_a_bucket_that_is_slow(tmp_path: Path) -> None:
    program = source("cache").replace("RESTORE_S = 120", "RESTORE_S = 0.5")
    command = ["-c", program, "restore", "weights", KEY, str(tmp_path / "vllm")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        done = run(url, *command, sys.executable, "-c", VLLM, "serve")
    assert json.loads(done.stdout)[0] == ["serve"]
    assert time.monotonic() - began < 8
    assert "compile cache: restore: not there after 0.5 s" in done.stderr
    assert not (tmp_path / "vllm").exists()


def test_the_container_beside_the_engine_stores_once_it_responds(
    bucket: Any, endpoint: str, tmp_path: Path
) -> None:
    compiled(tmp_path / "vllm", "graph.py")
    arguments = storing("weights", KEY, f"{endpoint}/")  # moto responds there
    arguments[-2] = str(tmp_path / "vllm")
    done = run(endpoint, *arguments)
    assert "compile cache: store: 1 files in" in done.stdout, done.stderr
    assert [each.key for each in bucket.objects.all()] == [KEY]


def test_an_engine_that_never_responds_is_not_waited_for_for_ever() -> None:
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    assert not cache.wait("http://127.0.0.1:9/health", lambda: now[0], pause)
    assert cache.WAIT_S <= now[0] <= cache.WAIT_S + 2 * cache.PAUSE_S
