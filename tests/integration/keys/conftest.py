"""The command, called in this process or as one of its own, and tables for it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from functions.keys.__main__ import main
from functions.keys.store import KeyTable
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.items import SCHEMA
from infra.local.services.dynamodb_server import OneAtATime, QuietHandler
from infra.paths import ROOT
from tests.integration.keys.aws import ScriptedAws, scripted_aws
from tests.moto_reads import read_moto_fast

NAME = "keys"
REGION = "eu-central-1"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit status; `audit`: the lines of its changes, which `err` lacks."""

    status: int
    out: str
    err: str
    audit: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, status: int, out: str, err: str) -> "Printed":
        """Return what was printed, with the lines of changes apart."""
        lines = err.splitlines(keepends=True)
        audit = [line for line in lines if line.startswith('{"audit":')]
        others = "".join(line for line in lines if line not in audit)
        return cls(status, out, others, tuple(json.loads(line)["audit"] for line in audit))


Keys = Callable[..., Printed]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS account of this machine is never used."""
    for variable in [*os.environ]:
        if variable.startswith("AWS_") or variable in ("KEYS_TABLE", "STACK", "DYNAMODB_ENDPOINT"):
            monkeypatch.delenv(variable)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def keys(capsys: pytest.CaptureFixture[str]) -> Keys:
    """`python -m functions.keys …`, in this process."""

    def run(*arguments: str) -> Printed:
        return Printed.of(main(arguments), *capsys.readouterr())

    return run


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyTable]:
    """A table of moto's in this process, which `keys` finds."""
    monkeypatch.setenv("KEYS_TABLE", NAME)
    read_moto_fast(monkeypatch)
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION).create_table(TableName=NAME, **SCHEMA)
        yield KeyTable(NAME, aws=Aws(Boto(region=REGION)))


@pytest.fixture
def aws() -> Iterator[ScriptedAws]:
    with scripted_aws() as aws:
        yield aws


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Moto's server, one request at a time: of simultaneous transactions, it would lose some."""
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server_url(moto_url: str) -> Iterator[str]:
    """Moto's server, with the table in it."""
    client = boto3.client("dynamodb", region_name=REGION, endpoint_url=moto_url)
    client.create_table(TableName=NAME, **SCHEMA)
    yield moto_url
    client.delete_table(TableName=NAME)


def start(*arguments: str, url: str) -> subprocess.Popen[str]:
    """Start the command as a user does."""
    variables = {**os.environ, **ENVIRONMENT, "KEYS_TABLE": NAME, "DYNAMODB_ENDPOINT": url}
    return subprocess.Popen(
        (sys.executable, "-m", "functions.keys", *arguments),
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_take_ctrl_c,
    )


def _take_ctrl_c() -> None:
    """Undo what a shell does to what it runs in the background: it has it ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*arguments: str, url: str, given: str = "") -> Printed:
    """Run the command as a user does, to its end."""
    with start(*arguments, url=url) as process:
        out, err = process.communicate(given, timeout=30)
    return Printed.of(process.returncode, out, err)
