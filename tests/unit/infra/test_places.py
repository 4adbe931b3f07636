"""The file with the zones and the version of Aurora that were found in a region."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.choice import ChoiceError
from infra.places import Places, file_for, places_of, region_from
from infra.stages import DEV, PROD

REGION = "eu-central-1"
ZONES = ["eu-central-1c", "eu-central-1a", "eu-central-1b"]


def written(folder: Path, content: Any) -> Path:
    file_for(DEV, REGION, folder).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_as_many_zones_as_the_stage_has_are_taken(tmp_path: Path) -> None:
    folder = written(tmp_path, {"zones": ZONES, "aurora": "17.6"})
    assert places_of(DEV, REGION, folder) == Places(zones=("eu-central-1c", "eu-central-1a"), aurora="17.6")


def test_without_a_file_or_a_region_nothing_is_chosen(tmp_path: Path) -> None:
    folder = written(tmp_path, {"zones": ZONES})
    assert places_of(DEV, "eu-west-1", folder) is None
    assert places_of(DEV, None, folder) is None
    assert places_of(PROD, REGION, folder) is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "expected JSON, but got"),
        ([], "expected an object with zones and aurora, but got []."),
        ({"zone": "a"}, "expected an object with zones and aurora"),
        ({"zones": "eu-central-1a"}, "expected zones to be a list of names"),
        ({"zones": ["eu-west-1a", "eu-west-1b"]}, "expected zones of eu-central-1, as in eu-central-1a"),
        ({"zones": ZONES[:1]}, "expected 2 different zones, as dev has, but got eu-central-1c."),
        ({"zones": ZONES[:1] * 2}, "expected 2 different zones"),
        ({"aurora": 17.6}, 'expected aurora to be a version, as in "17.6", but got 17.6.'),
        ({"aurora": "newest"}, "expected aurora to be a version"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(ChoiceError) as raised:
        places_of(DEV, REGION, written(tmp_path, content))
    assert str(raised.value).startswith(f"stages/dev.eu-central-1.json: {expected}")
    assert "make doctor" in str(raised.value)


def test_the_region_is_that_of_cdk_then_that_of_the_shell() -> None:
    assert region_from({"AWS_REGION": "b", "CDK_DEFAULT_REGION": "a"}) == "a"
    assert region_from({"AWS_REGION": "b", "CDK_DEFAULT_REGION": ""}) == "b"
    assert region_from({}) is None
