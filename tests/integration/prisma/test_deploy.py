"""The function that migrates a deployment's database, called as Lambda calls it."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.prisma.project import LAYER, Project, assert_no_password, clean_environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prisma")]
_LAMBDA = """
const { handler } = await import(process.argv[1]);
const context = { getRemainingTimeInMillis: () => Number(process.argv[2]) };
const failed = ({ name, message }) => ({ name, message });
const outcome = await handler({}, context).then((result) => ({ result }), failed);
console.log(JSON.stringify(outcome));
"""


@dataclass
class Deployment:
    process: "subprocess.Popen[str]"
    url: str

    def outcome(self) -> dict[str, Any]:
        said, _ = self.process.communicate()
        assert_no_password(said, self.url)
        outcome: dict[str, Any] = json.loads(said)
        return outcome


def start(
    project: Project,
    url: str | None = None,
    timeout_ms: int = 30_000,
    folder: Path = LAYER / "migrate",
    **variables: str,
) -> Deployment:
    address = project.url if url is None else url
    given = {} if "DATABASE_SECRET" in variables else {"DATABASE_URL": address}
    process = subprocess.Popen(
        ("node", "--input-type=module", "-e", _LAMBDA, str(folder / "index.mjs"), str(timeout_ms)),
        cwd="/",
        env=clean_environment(**given, **variables, PRISMA_SCHEMA=str(project.schema)),
        stdout=subprocess.PIPE,
        text=True,
    )
    return Deployment(process, address)


def test_a_fresh_database_and_one_that_is_up_to_date(project: Project) -> None:
    project.migration("1_init", 'CREATE TABLE "Note" (id serial PRIMARY KEY, text text NOT NULL);')
    project.migration("2_note", 'ALTER TABLE "Note" ADD COLUMN note text;')
    assert start(project).outcome() == {"result": ["1_init", "2_note"]}
    assert start(project).outcome() == {"result": []}


def test_a_migration_that_fails_and_its_repair(project: Project) -> None:
    project.migration("1_init", "CREATE TABLE a (i int);")
    project.migration("2_bad", "ALTER TABLE a ADD COLUMN j int;\nALTER TABLE b ADD COLUMN j int;")
    failed = start(project).outcome()
    assert failed["name"] == "MigrationFailed"
    assert "P3018" in failed["message"]
    assert "Migration name: 2_bad" in failed["message"]
    assert 'ERROR: relation "b" does not exist' in failed["message"]
    again = start(project).outcome()["message"]
    assert "P3009" in again
    assert again.endswith("`prisma migrate resolve --rolled-back 2_bad`, correct it, and deploy again.")

    assert project.prisma("migrate", "resolve", "--rolled-back", "2_bad").status == 0
    project.migration("2_bad", "ALTER TABLE a ADD COLUMN j int;")
    assert start(project).outcome() == {"result": ["2_bad"]}


def test_two_deployments_at_once(project: Project) -> None:
    project.migration("1_slow", "SELECT pg_sleep(1);\nCREATE TABLE a (i int);")
    both = [start(project), start(project)]
    assert sorted(each.outcome()["result"] for each in both) == [[], ["1_slow"]]


def test_a_database_that_is_not_there(project: Project) -> None:
    began = time.monotonic()
    failed = start(project, "postgresql://u:hush-hush@127.0.0.1:1/d", timeout_ms=5_500).outcome()
    assert failed["message"].startswith("P1001: Can't reach database server at `127.0.0.1:1`")
    assert 1.5 < time.monotonic() - began < 5.5, "expected it to be tried again, for as long as there is time"


def test_no_address(project: Project) -> None:
    assert "Expected the database's address in DATABASE_URL" in start(project, "").outcome()["message"]


def test_time_runs_out(project: Project) -> None:
    project.migration("1_slow", "SELECT pg_sleep(20);")
    failed = start(project, timeout_ms=3_500).outcome()
    assert failed["message"] == "prisma migrate deploy ran out of time."
