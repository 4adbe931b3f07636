"""`make doctor STAGE=dev`: the exit status 1 where a deployment would fail."""

from __future__ import annotations

import os
import sys

from infra.choice import ChoiceError, chosen_stage
from infra.doctor import examine
from infra.paths import ROOT
from infra.places import FOLDER


def main() -> int:
    """Print the report of the stage that STAGE names."""
    try:
        stage = chosen_stage(os.environ.get("STAGE") or "serverless")
    except ChoiceError as error:
        print(error, file=sys.stderr)
        return 1
    # What an AWS on this machine offers is not to be committed.
    local = os.environ.get("AWS_ENDPOINT_URL")
    report = examine(stage, folder=ROOT / ".local" / "stages" if local else FOLDER)
    print(report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
