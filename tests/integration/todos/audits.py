"""Runs the audits of the npm package `graphql-http` against a server."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("audits.mjs")
# All 61, so that each is a test of its own; whether these are all that there are is a test, too.
_IDS = (
    "22EB 4655 47DE 80D8 82A3 BF61 78D5 2C94 5A70 9C48 9ABE 03D4 A5BF 423L LKJ0 LKJ1 LKJ2 LKJ3 34A2 13EE "
    "6C00 6C01 6C02 6C03 8161 B8B3 94B0 0220 94B1 0221 94B2 0222 4760 4761 4762 4763 2EA1 28B9 D6D5 6A70 "
    "58B0 58B1 58B2 58B3 428F 1B7A B6DC BCF8 B7N8 8764 3E3A 572B FDE2 7B9B 865D 556A D586 51FE 74FF 5E5B "
    "86EE"
)
AUDITS = tuple(_IDS.split())


@dataclass(frozen=True)
class Audit:
    """What one audit found. `status`: ok, notice, warn or error; `reason`: why it is not ok."""

    name: str
    status: str
    reason: str | None


def run_audits(url: str) -> dict[str, Audit]:
    """Run all audits against an address; return them by id."""
    done = subprocess.run(("node", str(SCRIPT), url), capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {audit: Audit(**found) for audit, found in json.loads(done.stdout).items()}
