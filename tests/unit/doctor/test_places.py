"""`stages/<stage>.<region>.json`: written once, and never changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.doctor import Report, examine
from infra.stages import STAGES

from .answers import account
from .machines import GivenMachine

FILE = "dev.us-east-1.json"
CHOSEN = {"zones": ["us-east-1b", "us-east-1c"], "aurora": "18.5"}


def run(folder: Path, *answers: dict[str, Any]) -> Report:
    return examine(STAGES["dev"], account("good", *answers), machine=GivenMachine(), folder=folder)


def subnets(*zones: str) -> dict[str, Any]:
    """Return the answer about a network in these zones, with public subnets, and in no order."""
    found = [
        {
            "AvailabilityZone": zone,
            "Tags": [{"Key": "aws:cloudformation:logical-id", "Value": f"Vpc{kind}Subnet{number}Subnet0A"}],
        }
        for number, zone in enumerate(zones, 1)
        for kind in ("Public", "Private")
    ]
    return {"call": "ec2 DescribeSubnets", "response": {"Subnets": found[::-1]}}


def cluster(version: str, stack: str = "ChatbotDevData") -> dict[str, Any]:
    tag = {"Key": "aws:cloudformation:stack-name", "Value": stack}
    found = {"EngineVersion": version, "TagList": [tag]}
    return {"call": "rds DescribeDBClusters", "response": {"DBClusters": [found]}}


def test_it_is_written_shown_and_left_as_it_is(tmp_path: Path) -> None:
    first = run(tmp_path)
    text = (tmp_path / FILE).read_text()
    assert json.loads(text) == CHOSEN
    (line,) = (line for line in str(first).splitlines() if line.startswith(f"Wrote {json.dumps(CHOSEN)} to "))
    assert line.endswith(f"/{FILE}. Commit it, so that others deploy the same.")
    assert "Wrote" not in str(run(tmp_path))
    assert (tmp_path / FILE).read_text() == text


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        ([subnets("us-east-1d", "us-east-1a")], {"zones": ["us-east-1d", "us-east-1a"], "aurora": "18.5"}),
        ([cluster("18.4")], {**CHOSEN, "aurora": "18.4"}),
        ([cluster("17.7", "ChatbotProdData")], CHOSEN),
    ],
)
def test_what_is_deployed_is_written(
    answers: list[dict[str, Any]], chosen: dict[str, Any], tmp_path: Path
) -> None:
    run(tmp_path, *answers)
    assert json.loads((tmp_path / FILE).read_text()) == chosen


@pytest.mark.parametrize(
    ("written", "answers", "title", "part"),
    [
        (
            {"zones": ["us-east-1b", "us-east-1c"]},
            [subnets("us-east-1c", "us-east-1b")],
            *("zones", "the network us-east-1c, us-east-1b: it would be replaced, with all that is in it"),
        ),
        (
            {"zones": ["us-east-1g", "us-east-1b"]},
            [],
            *("zones", "us-east-1g of stages/dev.us-east-1.json is no zone of this account"),
        ),
        ({"zones": ["us-east-1b"]}, [], "stages", "expected 2 different zones"),
        ({}, [subnets("us-east-1b")], "zones", "us-east-1b are 1; infra/stages.py has zones=2"),
        ({"zones": ["us-east-1a", "us-east-1f"]}, [], "zones", "us-east-1b, us-east-1c, us-east-1d do"),
        ({"aurora": "18.1"}, [], "Aurora", '"aurora": "18.5" in it'),
    ],
)
def test_what_does_not_suit_is_a_failure_and_stays(
    written: dict[str, Any], answers: list[dict[str, Any]], title: str, part: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps(written))
    found = next(each for each in run(tmp_path, *answers).findings if each.title == title)
    assert found.status == "failure"
    assert part in f"{found.answer} → {found.remedy}"
    assert written.items() <= json.loads((tmp_path / FILE).read_text()).items()


def test_a_file_that_is_no_json_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("zones: [a]")
    found = run(tmp_path)
    assert found.failed
    assert [each.title for each in found.findings] == ["stages"]
