"""What SAM reads of the templates, and the variables that `docs/deploy.md` has it replace."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from functions.chat.settings import Settings as ChatSettings
from functions.todos.settings import Settings as TodosSettings

from .templates import ROOT, Deployment

SETTINGS: dict[str, type[ChatSettings] | type[TodosSettings]] = {
    "ChatFunction": ChatSettings,
    "TodosFunction": TodosSettings,
}
FILES = {
    name: json.loads((ROOT / "tests" / "events" / name).read_text())
    for name in ("sam-variables.json", "sam-api-variables.json")
}
_PSEUDO = {"AWS::Region": "us-east-1", "AWS::Partition": "aws", "AWS::AccountId": "123456789012"}


def as_sam_has_it(value: Any) -> str:
    """Return a variable's value as the function gets it: "" where it comes from another stack.

    Source: samcli 1.170.0, `EnvironmentVariables` and `IntrinsicResolver`.
    """
    parts = value["Fn::Join"][1] if isinstance(value, dict) and "Fn::Join" in value else [value]
    texts = [part if isinstance(part, str) else _PSEUDO.get(part.get("Ref", "")) for part in parts]
    return "" if None in texts else "".join(text for text in texts if text)


@pytest.mark.parametrize("stage", ["dev", pytest.param("serverless", marks=pytest.mark.slow)])
@pytest.mark.parametrize("function", SETTINGS)
@pytest.mark.parametrize("file", FILES)
def test_a_function_starts_with_the_variables_of_the_file(
    deployments: Mapping[str, Deployment], stage: str, function: str, file: str
) -> None:
    in_template = deployments[stage].templates["Api"]["Resources"][function]["Properties"]["Environment"]
    given = {name: as_sam_has_it(value) for name, value in in_template["Variables"].items()}
    replaced = FILES[file][function]
    assert replaced.keys() <= given.keys(), "SAM passes on no variable that the template does not have"
    settings = SETTINGS[function].from_environment(given | replaced)
    assert settings.keys_table is None, "expected no key to be needed"


def test_start_api_gets_the_same_without_the_wrapper() -> None:
    """It expects a reply that is one JSON object, as the stock runtime's."""
    for function, variables in FILES["sam-variables.json"].items():
        assert FILES["sam-api-variables.json"][function] == {**variables, "AWS_LAMBDA_EXEC_WRAPPER": ""}


@pytest.mark.slow
def test_serverless_needs_none_of_them_for_its_models(deployments: Mapping[str, Deployment]) -> None:
    chat = deployments["serverless"].templates["Api"]["Resources"]["ChatFunction"]["Properties"]
    given = {name: as_sam_has_it(value) for name, value in chat["Environment"]["Variables"].items()}
    assert ChatSettings.from_environment(given).models
