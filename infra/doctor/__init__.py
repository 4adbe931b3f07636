"""Whether a stage can be deployed: read before the first stack; nothing in the account is changed.

`python -m infra.doctor` prints it; `infra.deploy` uses the same two lines:

    report = examine(stage, session)   # seconds; all checks at once
    print(report)                      # a line for each check, what was written, what the stage costs

Shape:  `report.failed`: a deployment would fail, or the engine would never start. `report.region`,
        `report.account`: where it would be deployed; None where that is not known.
"""

from infra.doctor.examination import examine
from infra.doctor.report import Finding, Report

__all__ = ["Finding", "Report", "examine"]
