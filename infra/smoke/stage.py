"""Where a deployed stage is called, and where its logs are: what its stacks say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from infra.deploy.stacks import UNREACHABLE, Stacks, prefix_of
from infra.paths import ROOT
from infra.smoke.client import Api, Failed, Signer
from infra.stages import Stage

KEY_NAME = "smoke-test"
_KEYS = (sys.executable, "-m", "functions.keys")
_KEYS_S = 60


@dataclass(frozen=True)
class Deployed:
    """A stage that is deployed.

    Shape:  `local_aws`: the address of an AWS on this machine; None: AWS itself.
    """

    stage: Stage
    stacks: Stacks
    outputs: Mapping[str, str]
    region: str
    local_aws: str | None

    def api(self, output: str, key: str) -> Api:
        """Return the address of an output; requests of a Function URL are signed where the stage wants it.

        Raises: Failed.
        """
        signer = None
        if output != "ApiUrl" and self.stage.url_auth == "AWS_IAM":
            credentials = boto3.Session().get_credentials()
            if not credentials:
                raise Failed("expected credentials that sign requests of a Function URL, but found none")
            signer = Signer(credentials.get_frozen_credentials(), self.region)
        return Api(self.outputs[output], key, signer, self.local_aws)

    def log(self, stack: str, beginning: str) -> str:
        """Return the command that shows a log, by the beginning of its group's logical id."""
        try:
            group = self.stacks.part(stack, "AWS::Logs::LogGroup", beginning)
        except UNREACHABLE:
            group = None
        return (
            f"aws logs tail {group or f'<log group {beginning} of {self.stacks.prefix}{stack}>'} --since 15m"
        )


def find(stage: Stage, environ: Mapping[str, str]) -> Deployed:
    """Look a stage up in the account of the environment's credentials.

    Raises: Failed, where it is not there; BotoCoreError, ClientError.
    """
    session = boto3.Session(region_name=environ.get("AWS_REGION") or None)  # boto3 does not read it
    stacks = Stacks(prefix_of(stage.name), session.client("cloudformation"))
    by_stack = stacks.outputs()
    outputs = {name: value for stack in by_stack.values() for name, value in stack.items()}
    missing = [name for name in ("ApiUrl", "ChatUrl", "TodosUrl") if name not in outputs]
    if missing:
        raise Failed(
            f"expected the stacks {stacks.prefix}… in {session.region_name}, but found no output "
            f"{missing[0]}. Deploy them: make deploy STAGE={stage.name}; or name another AWS_REGION or "
            "AWS_PROFILE"
        )
    return Deployed(stage, stacks, outputs, str(session.region_name), environ.get("AWS_ENDPOINT_URL") or None)


@contextmanager
def temporary_key(data_stack: str) -> Iterator[str]:
    """Make an API key by the keys command, which ends in an hour by itself; delete it at the end.

    Raises: Failed.
    """
    where = ("--stack", data_stack, "--json")
    made = _keys(
        *("create", "--name", KEY_NAME, "--same-name", "--expires", "1h", "--concurrent", "5"), *where
    )
    try:
        yield str(made["key"])
    finally:
        _keys("delete", str(made["id"]), "--keep", "1d", "--yes", *where)


def _keys(*arguments: str) -> Any:
    """Run a command for keys; return what it printed."""
    try:
        done = subprocess.run(
            (*_KEYS, *arguments),
            cwd=ROOT,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=_KEYS_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"expected an API key within {_KEYS_S} s, but got none") from None
    if done.returncode:
        raise Failed(
            f"expected an API key, but `functions.keys {arguments[0]}` failed: {done.stderr.strip()}"
        )
    return json.loads(done.stdout)
