"""Where in a region a stage is: the zones and the version of Aurora that `make doctor` found on offer there.

It writes them into `stages/<stage>.<region>.json`, which is to be committed: another synthesis, on another
machine, then has the same. `{"zones": ["eu-central-1a", "eu-central-1b"], "aurora": "17.6"}`
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.choice import ChoiceError
from infra.paths import ROOT
from infra.stages import Stage

FOLDER = ROOT / "stages"
_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
_VERSION = re.compile(r"\d{2}\.\d{1,2}")
# As the AWS CLI and CDK name the region that is deployed to.
_REGION_VARIABLES = ("CDK_DEFAULT_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True, kw_only=True)
class Places:
    """What was chosen for a stage in a region.

    Shape:  `zones`: the names of as many as the stage has. `aurora`: a version, as in "17.6". None: the
            region's first zones, and the version of infra/stacks/data.py.
    """

    zones: tuple[str, ...] | None = None
    aurora: str | None = None


def region_from(environ: Mapping[str, str]) -> str | None:
    """Return the region of this synthesis; None: it is known only at the deployment."""
    return next((environ[name] for name in _REGION_VARIABLES if environ.get(name)), None)


def file_for(stage: Stage, region: str, folder: Path = FOLDER) -> Path:
    """Return the file for a stage in a region, which may not exist."""
    return folder / f"{stage.name}.{region}.json"


def places_of(stage: Stage, region: str | None, folder: Path = FOLDER) -> Places | None:
    """Return what was chosen for a stage in a region; None: nothing was.

    Raises: ChoiceError, if its file has a mistake.
    """
    file = file_for(stage, region, folder) if region else None
    if not region or not file or not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ChoiceError(f"stages/{file.name}: expected JSON, but got {error}. {_REMEDY}") from None
    mistake = _mistake(stage, region, content)
    if mistake:
        raise ChoiceError(f"stages/{file.name}: {mistake} {_REMEDY}")
    zones = content.get("zones")
    return Places(zones=tuple(zones[: stage.zones]) if zones else None, aurora=content.get("aurora"))


_REMEDY = "`make doctor` writes this file: remove it and run that again."


def _mistake(stage: Stage, region: str, content: Any) -> str | None:
    if not isinstance(content, dict) or not content.keys() <= {"zones", "aurora"}:
        return f"expected an object with zones and aurora, but got {json.dumps(content)}."
    zones, aurora = content.get("zones", []), content.get("aurora", "17.6")
    if not isinstance(zones, list) or not all(isinstance(each, str) for each in zones):
        return f"expected zones to be a list of names, but got {json.dumps(zones)}."
    for zone in zones:
        if not _ZONE.fullmatch(zone) or not zone.startswith(region):
            return f"expected zones of {region}, as in {region}a, but got {zone}."
    if zones and len(set(zones)) < stage.zones:
        return f"expected {stage.zones} different zones, as {stage.name} has, but got {', '.join(zones)}."
    if not isinstance(aurora, str) or not _VERSION.fullmatch(aurora):
        return f'expected aurora to be a version, as in "17.6", but got {json.dumps(aurora)}.'
    return None
