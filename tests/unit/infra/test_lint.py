"""CloudFormation's own schemas and rules, on every template."""

import pytest
from cfnlint import lint_file

from .templates import Deployment

IGNORED = {
    # CDK names a function's role twice, lest the function be made before its policies.
    "W3005",
    # Its schema has the data of a wait condition as an object; by AWS's documentation it is text, in JSON.
    "E1021",
    "E1022",
}


@pytest.mark.slow
def test_templates_are_clean(deployment: Deployment) -> None:
    templates = sorted(deployment.folder.glob("*.template.json"))
    assert len(templates) == (6 if deployment.stage.engine else 4)
    mistakes = [
        f"{template.name}: {match.rule.id} {match.message} {match.path}"
        for template in templates
        for match in lint_file(template)
        if match.rule.id not in IGNORED
    ]
    assert mistakes == []
