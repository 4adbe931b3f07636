"""A function's keys where they are no variables: from the address that Lambda gives with SnapStart."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from functions.shared import role as role_module
from functions.shared.role import Role, RoleKeysUnavailable
from tests.aws import dummy_credentials

TOKEN = "token-of-the-container"


class Keys(BaseHTTPRequestHandler):
    """Gives keys that are valid for `valid_s`, each time others."""

    valid_s = 3600.0
    given = 0

    def do_GET(self) -> None:
        if self.headers["authorization"] != TOKEN:
            self.send_error(403)
            return
        Keys.given += 1
        until = datetime.now(UTC) + timedelta(seconds=self.valid_s)
        keys = {"AccessKeyId": f"ASIA{self.given}", "SecretAccessKey": "secret", "Token": "session"}
        content = json.dumps({**keys, "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set what Lambda sets with SnapStart, and nothing of the developer's."""
    for name, value in dummy_credentials("eu-central-1").items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/keys"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_they_are_fetched_and_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    role = Role(os.environ)
    first, same = asyncio.run(role.keys()), asyncio.run(role.keys())
    assert (first, first.secret, first.session_token) == (same, "secret", "session")
    monkeypatch.setattr(Keys, "valid_s", 5.0)  # of the last minutes, in which each use renews them
    short = Role(os.environ)
    assert asyncio.run(short.keys()) != first
    monkeypatch.setattr(Keys, "valid_s", 3600.0)
    assert asyncio.run(short.keys()).id == f"ASIA{Keys.given}"


def test_while_they_cannot_be_renewed_they_are_used_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_module, "_PAUSE_S", 0)
    monkeypatch.setattr(Keys, "valid_s", 500.0)
    role, now = Role(os.environ), time.time()
    keys = role.current()
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")
    assert role.current() is keys
    monkeypatch.setattr(time, "time", lambda: now + 501)
    with pytest.raises(RoleKeysUnavailable):
        role.current()


def test_many_threads_fetch_them_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The token may be in a file, and the address have a query."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']}?a=b"
    )
    role, before = Role(os.environ), Keys.given

    async def all_at_once() -> set[str]:
        return {keys.id for keys in await asyncio.gather(*(role.keys() for _ in range(64)))}

    assert len(asyncio.run(all_at_once())) == 1
    assert Keys.given == before + 1


def test_none_are_an_error_that_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")
    monkeypatch.setattr(role_module, "_PAUSE_S", 0)
    with pytest.raises(RoleKeysUnavailable) as raised:
        asyncio.run(Role(os.environ).keys())
    assert "wrong" not in str(raised.value)
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    with pytest.raises(RoleKeysUnavailable, match="NoCredentialsError"):
        asyncio.run(Role(os.environ).keys())
