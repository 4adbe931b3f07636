"""An AWS account on this machine: ministack in a child process, which is stopped with all that it started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import psutil

from infra.local.processes import Guardian
from infra.paths import search_path

ROOT = Path(__file__).resolve().parents[2]
MINISTACK = ROOT / ".local" / "ministack"
ID = "123456789012"
SECRET = "test"
REGION = "us-east-1"
_NODE_PACKAGES = Path(__file__).parent / "cloud" / "sdk"
_HOST = "127.0.0.1"
_READY_S = 30.0
_STOP_S = 5.0
_COMMAND = (sys.executable, "-S", "-m", "tests.deploy.cloud")


class Account:
    """The account's address, and the environment of its clients."""

    def __init__(self, folder: Path, port: int) -> None:
        self.endpoint = f"http://{_HOST}:{port}"
        self.log = folder / "ministack.log"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            # Not the user's own settings, nor what the CDK has stored about other accounts.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CDK_HOME": str(folder),
        }

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ID,
            aws_secret_access_key=SECRET,
        )

    def stacks(self) -> dict[str, dict[str, str]]:
        """Return the outputs of each stack that there is."""
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return {
            stack["StackName"]: {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
            for stack in found
            if stack["StackStatus"] != "DELETE_COMPLETE"
        }

    def inventory(self, stage: str) -> dict[str, list[str]]:
        """Return the names of all parts of a stage."""
        calls: dict[str, tuple[str, str, str, str]] = {
            "buckets": ("s3", "list_buckets", "Buckets", "Name"),
            "databases": ("rds", "describe_db_clusters", "DBClusters", "DBClusterIdentifier"),
            "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
            "logs": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
            "registries": ("ecr", "describe_repositories", "repositories", "repositoryName"),
            "roles": ("iam", "list_roles", "Roles", "RoleName"),
            "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
            "snapshots": (
                *("rds", "describe_db_cluster_snapshots"),
                *("DBClusterSnapshots", "DBClusterSnapshotIdentifier"),
            ),
        }
        found = {
            kind: [each[name] for each in getattr(self.client(service), call)()[items]]
            for kind, (service, call, items, name) in calls.items()
        }
        found["tables"] = self.client("dynamodb").list_tables()["TableNames"]
        return {
            kind: [name for name in names if f"chatbot{stage}" in name.lower()]
            for kind, names in found.items()
        }

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def abilities() -> dict[str, list[str]]:
    """Return the types of resources that ministack itself knows, and which corrections of ours it needs."""
    done = subprocess.run(
        (*_COMMAND, "abilities"), cwd=ROOT, env=_own_packages(), capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def local_account(
    folder: Path, *, postgres: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[Account]:
    """Run an account for as long as the context lasts.

    Shape:  `postgres` and `variables` are what `cloud.aurora` and `cloud.variables` take.
    """
    if not MINISTACK.is_dir():
        raise RuntimeError(f"Expected ministack in {MINISTACK}, but it is not there: make test-deploy.")
    port = free_port()
    account = Account(folder, port)
    settings = {"DEPLOY_POSTGRES": json.dumps(postgres), "DEPLOY_VARIABLES": json.dumps(variables)}
    own = {
        "BIND_HOST": _HOST,
        "MINISTACK_HOST": _HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ID,
        # Requests are checked: their signatures, and their senders' permissions.
        "AUTH": "true",
        # These listen on ports of their own.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "NODE_PATH": str(_NODE_PACKAGES),
        "PATH": search_path(),
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    with Guardian() as guardian, account.log.open("wb") as log:
        process = subprocess.Popen(
            _COMMAND,
            cwd=ROOT,
            env=account.environment | own | settings | _own_packages(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        guardian.watch(process.pid)
        try:
            _wait_until_ready(process, account)
            yield account
        finally:
            _end(process)
            guardian.forget(process.pid)


def _own_packages() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(MINISTACK), str(ROOT)))}


def _wait_until_ready(process: "subprocess.Popen[bytes]", account: Account) -> None:
    until = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            urllib.request.urlopen(f"{account.endpoint}/_ministack/health", timeout=5).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"Expected ministack to start within {_READY_S:g} s, but got:\n{account.log_tail()}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it and the functions that it runs; they are in its process group."""
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_S)
    _, left = psutil.wait_procs(started, timeout=_STOP_S)
    assert not left, f"expected no process to be left, but got {left}"


def free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
