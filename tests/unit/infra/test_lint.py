"""CloudFormation's own schemas and rules, on every template."""

from functools import cache

import pytest

from .templates import Deployment

IGNORED = {
    # CDK names a function's role twice, lest the function be made before its policies.
    "W3005",
    # Its schema has the data of a wait condition as an object; by AWS's documentation it is text, in JSON.
    "E1021",
    "E1022",
}


@cache
def mistakes_in(template: str) -> list[str]:
    """Return what is wrong with a template, of which variants share many."""
    from cfnlint import lint  # takes 2 s, which each worker would need for collecting tests

    return [
        f"{each.rule.id} {each.message} {each.path}" for each in lint(template) if each.rule.id not in IGNORED
    ]


@pytest.mark.slow
def test_templates_are_clean(deployment: Deployment) -> None:
    templates = sorted(deployment.folder.glob("*.template.json"))
    assert len(templates) == (6 if deployment.stage.engine else 4)
    mistakes = [(each.name, mistake) for each in templates for mistake in mistakes_in(each.read_text())]
    assert mistakes == []
