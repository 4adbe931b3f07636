"""No resource and no output is renamed: CloudFormation would replace it, and with it what it keeps.

`logical_ids.txt` has a line for each: stage, stack, logical id, type. A new resource is a new line; a line
that goes is a resource that every deployment loses.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .templates import Deployment

EXPECTED = Path(__file__).with_name("logical_ids.txt")
# The ids of these end with a hash of their content: each change makes another one.
_VERSIONED = ("AWS::ApiGateway::Deployment", "AWS::Lambda::Version")
_HASH = re.compile(r"[0-9a-f]{32}$")


def logical_ids(deployment: Deployment) -> Iterator[str]:
    for stack, template in deployment.templates.items():
        for logical_id, resource in template["Resources"].items():
            kind = resource["Type"]
            name = _HASH.sub("<hash>", logical_id) if kind in _VERSIONED else logical_id
            yield f"{deployment.stage.name} {stack} {name} {kind}"
        for name in template.get("Outputs", {}):
            yield f"{deployment.stage.name} {stack} {name} Output"


def test_no_resource_and_no_output_is_renamed(deployment: Deployment) -> None:
    name = deployment.stage.name
    expected = {line for line in EXPECTED.read_text().splitlines() if line.startswith(f"{name} ")}
    found = set(logical_ids(deployment))
    assert found - expected == set(), "new: `python -m tests.tools.logical_ids` prints all"
    assert expected - found == set(), "gone, or renamed"
