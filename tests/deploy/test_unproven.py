"""The list of what is not proven here is true: all of it is used, and none of it could be spared."""

import re

import pytest

from tests.deploy.account import ROOT, abilities
from tests.deploy.noops import NO_OPS, STAND_INS
from tests.deploy.toolkit import Toolkit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("deploy")]


def test_each_is_lacking() -> None:
    assert not set(NO_OPS) & set(abilities()["types"])


def test_each_is_used(dev_toolkit: Toolkit, prod_toolkit: Toolkit) -> None:
    used = {*dev_toolkit.resources().values(), *prod_toolkit.resources().values()}
    assert set(NO_OPS) <= used


def test_each_correction_is_needed() -> None:
    assert abilities()["needed"] == ["alarms", "grants", "ipv6", "parameters", "secrets", "streamed"]


def test_each_stand_in_is_listed() -> None:
    modules = {path.stem for path in (ROOT / "tests" / "deploy" / "cloud").glob("*.py")}
    assert set(STAND_INS) == modules - {"__main__"}


def test_the_docs_list_what_each_leaves_unproven() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs" / "deploy.md").read_text(), re.MULTILINE)
    assert STAND_INS.items() <= dict(rows).items()
