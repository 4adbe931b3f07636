"""docs/deploy.md and docs/operations.md say what is there."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from infra.costs import idle_month
from infra.stages import DEV, PROD, STAGES, Model, Stage
from tests.deploy.noops import NO_OPS

from .templates import ROOT, Deployment

DEPLOY, OPERATIONS = (ROOT / "docs" / name for name in ("deploy.md", "operations.md"))
BOTH = pytest.mark.parametrize("document", [DEPLOY, OPERATIONS], ids=lambda path: path.stem)


def test_what_the_local_aws_leaves_unproven_is_listed() -> None:
    rows = re.findall(r"^\| `((?:AWS|Custom)::\S+)` \| (.+) \|$", DEPLOY.read_text(), re.MULTILINE)
    assert dict(rows) == {kind: no_op.unproven for kind, no_op in NO_OPS.items()}


def test_the_outputs_are_those_of_the_stacks(dev: Deployment) -> None:
    sample = DEPLOY.read_text().partition("$ make deploy STAGE=dev\n")[2].partition("```")[0]
    shown = re.findall(r"^  (\w+) +\S", sample, re.MULTILINE)
    outputs = {
        name for stack in ("Api", "Watch") for name in dev.outputs(stack) if not name.startswith("Exports")
    }
    assert sorted(shown) == sorted(outputs)


def test_the_trust_policy_allows_one_environment_of_one_repository() -> None:
    (text,) = re.findall(r"^```json\n(.+?)^```", DEPLOY.read_text(), re.MULTILINE | re.DOTALL)
    (statement,) = json.loads(text)["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    host = statement["Principal"]["Federated"].partition("oidc-provider/")[2]
    assert set(statement["Condition"]) == {"StringEquals"}, "no wildcard"
    conditions = statement["Condition"]["StringEquals"]
    assert conditions[f"{host}:aud"] == "sts.amazonaws.com"
    assert re.fullmatch(r"repo:OWNER/REPOSITORY:environment:\w+", conditions[f"{host}:sub"])


def test_the_stacks_are_listed(dev: Deployment) -> None:
    listed = re.findall(r"^\| `ChatbotDev(\w+)` \|", DEPLOY.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(dev.templates)


@pytest.mark.slow
def test_the_number_of_resources_is_about_that_of_the_stacks(deployments: Mapping[str, Deployment]) -> None:
    (row,) = re.findall(r"^\| resources, about \| (.+) \|$", DEPLOY.read_text(), re.MULTILINE)
    for name, number in zip(deployments, row.split("|")[1:], strict=True):
        found = sum(len(template["Resources"]) for template in deployments[name].templates.values())
        assert abs(int(number) - found) <= 5, f"{name}: {found}"


def test_the_stages_are_listed_with_what_they_cost() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\].*\[\$([\d.]+)\]\(#costs\)", DEPLOY.read_text(), re.MULTILINE)
    months = {name: sum(n * usd for n, usd in idle_month(stage).values()) for name, stage in STAGES.items()}
    assert dict(listed) == {name: f"{month:.2f}" for name, month in months.items()}


def test_limits_and_media_are_documented() -> None:
    listed = set(re.findall(r"^\| `((?:Model\.)?\w+)` \|", DEPLOY.read_text(), re.MULTILINE))
    known = {each.name for each in fields(Stage)} | {f"Model.{each.name}" for each in fields(Model)}
    limits = {
        name for name in known if re.search("_bytes$|^keep_records|media_hosts|extra_fields|prices", name)
    }
    assert limits <= listed
    assert f"| `keep_records_days` | {DEV.keep_records_days}; `prod` {PROD.keep_records_days} |" in (
        DEPLOY.read_text()
    )


@BOTH
def test_every_target_that_is_named_is_one_of_the_makefile(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ )make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named
    assert named <= targets


@BOTH
def test_every_event_that_is_named_is_there(document: Path) -> None:
    for name in re.findall(r"tests/events/\w+\.json", document.read_text()):
        assert (ROOT / name).exists(), name


@BOTH
def test_links_lead_to_headings(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", document.read_text()):
        text = (document.parent / target).read_text() if target else document.read_text()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in map(anchor_of, headings), f"{target}#{anchor}"


def test_the_parts_that_the_runbook_names_are_in_the_stacks(dev: Deployment, prod: Deployment) -> None:
    """Each is found by its type and the beginning of its logical id, and only one."""
    named = re.findall(r"\(part (\w+) (\w+::\w+) (\w+)\)", OPERATIONS.read_text())
    assert len(named) > 10
    for stack, kind, beginning in named:
        found = [
            [each.id for each in stage.all(f"AWS::{kind}", stack) if each.id.startswith(beginning)]
            for stage in (dev, prod)
        ]
        assert max(map(len, found)) == 1, f"{stack} {kind} {beginning}: {found}"


def anchor_of(heading: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
