"""The real command against a real server of moto's."""

import asyncio
import json
import re
import signal
import sys
import threading
import time

import pytest

from functions.keys.store import KeyTable
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.keys import Key, KeyRefused, Keyring
from tests.e2e.terminal import CTRL_C, terminal
from tests.integration.keys.aws import ScriptedAws
from tests.integration.keys.conftest import ENVIRONMENT, NAME, REGION, Printed, run, start
from tests.unit.keys.store import a_key, a_record


class Clock:
    """A time that passes when a test sets it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def authenticate(keyring: Keyring, key: str) -> Key | None:
    return asyncio.run(keyring.authenticate(f"Bearer {key}"))


def test_from_the_first_key_to_the_last_record(server_url: str) -> None:
    table = KeyTable(NAME, endpoint_url=server_url, aws=Aws(Boto(region=REGION)))
    clock = Clock()
    keyring = Keyring(table, now=clock)

    printed = run("create", "--name", "alice", "--models", "default", "--rpm", "60", url=server_url)
    assert (printed.status, printed.err) == (0, "")
    (text,) = re.findall(r"sk-\w{49}", printed.out)
    assert "it is not shown again" in printed.out
    key = authenticate(keyring, text)
    assert key
    assert (key.name, key.models, key.requests_per_minute) == ("alice", frozenset({"default"}), 60)

    assert run("disable", "alice", url=server_url).status == 0
    assert authenticate(keyring, text), "known for 30 s"
    clock.now += 31
    with pytest.raises(KeyRefused, match="disabled"):
        authenticate(keyring, text)
    assert run("enable", "alice", url=server_url).status == 0
    clock.now += 31
    assert authenticate(keyring, text)

    rotated = json.loads(run("rotate", key.id, "--json", url=server_url).out)
    assert rotated["id"] == key.id
    assert authenticate(keyring, rotated["key"])
    clock.now += 31
    with pytest.raises(KeyRefused, match="Incorrect API key"):
        authenticate(keyring, text)

    now_ms = int(time.time() * 1000)
    asyncio.run(table.settle(a_record(1, key_id=key.id, model="default", started_at=now_ms - 2)))
    log = "START\n" + a_record(2, key_id=key.id, model="default", started_at=now_ms - 1).to_json() + "\n"
    for written, there in (("1 usage record", 0), ("0 usage records", 1)):
        printed = run("replay", "-", url=server_url, given=log)
        assert (printed.status, printed.err) == (0, "")
        assert printed.out.startswith(f"Wrote {written}; each counts once")
        assert f"Already there: {there}." in printed.out
    printed = run("usage", "alice", "--by", "model", url=server_url)
    assert re.fullmatch(r"MODEL +REQUESTS .*\ndefault +2 +2 +0 .*\n", printed.out)


def test_ctrl_c_ends_it_quietly(server_url: str) -> None:
    table = KeyTable(NAME, endpoint_url=server_url, aws=Aws(Boto(region=REGION)))
    table.add(a_key())
    record = a_record(started_at=int(time.time() * 1000))
    with start("replay", "-", url=server_url) as process:
        assert process.stdin
        process.stdin.write(record.to_json() + "\n")
        process.stdin.flush()
        until = time.monotonic() + 20
        while not list(table.usage(record.key_id, 0, record.started_at + 1)):
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_what_ends_a_command_waits_until_a_new_key_is_printed(
    aws: ScriptedAws, number: signal.Signals
) -> None:
    aws.body, aws.held, aws.holding = '{"Items": []}', threading.Event(), "TransactWriteItems"
    with start("create", "--name", "alice", url=aws.url) as process:
        until = time.monotonic() + 20
        while not any(aws.holding in call for call in aws.calls):
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(number)
        aws.held.set()
        printed = Printed.of(0, *process.communicate(timeout=10))
    assert (process.returncode, printed.err) == (0, "")
    assert re.search(r"^  sk-\w{49}$", printed.out, re.MULTILINE)


def test_ctrl_c_at_a_terminal_is_explained_and_the_key_is_shown(aws: ScriptedAws) -> None:
    aws.body, aws.held, aws.holding = '{"Items": []}', threading.Event(), "TransactWriteItems"
    variables = {**ENVIRONMENT, "KEYS_TABLE": NAME, "DYNAMODB_ENDPOINT": aws.url, "COLUMNS": "80"}
    command = (sys.executable, "-m", "functions.keys", "create", "--name", "alice")
    with terminal(*command, **variables) as screen:
        until = time.monotonic() + 20
        while not any(aws.holding in call for call in aws.calls):
            assert time.monotonic() < until
            time.sleep(0.01)
        screen.type(CTRL_C)
        screen.wait_for("Waiting until the new key is printed, for it would be lost.")
        aws.held.set()
        shown = screen.wait_for("Keep it now")
        assert re.search(r"Created key_\w{16} \(alice\)\.\s+sk-\w{49}\s", shown)
        assert "audit" not in shown
        screen.wait_for_end()


def test_a_reader_that_has_gone(server_url: str) -> None:
    with start("list", url=server_url) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(10) == 141


def test_a_wrong_command_line_is_refused_before_any_call() -> None:
    printed = run("create", "--name", "alice", "--rpm", "0", url="http://127.0.0.1:1")
    assert (printed.status, printed.out) == (2, "")
    assert printed.err.startswith("Invalid value for '--rpm': expected a whole number")
