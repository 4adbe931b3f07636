"""Install what a goal needs: steps of one stage two at a time, each once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from infra.install.failures import describe_failure
from infra.install.goals import GOALS, missing_steps
from infra.install.machine import Unsuitable, check_machine
from infra.install.progress import Progress
from infra.install.step import STAMPS, Step, StepFailed

AT_ONCE = 2


def install(arguments: list[str]) -> int | str:
    """Set up one goal; return the exit status, or the text to end with."""
    if arguments not in ([goal] for goal in GOALS):
        return f"Expected: python3 infra/setup.py {'|'.join(GOALS)}"
    try:
        return _install(arguments[0])
    except (Unsuitable, OSError) as error:
        return str(error)
    except StepFailed as error:
        return describe_failure(error.step)
    except KeyboardInterrupt:
        return "Interrupted. Run the same command again to go on."


def _install(goal: str) -> int:
    STAMPS.mkdir(parents=True, exist_ok=True)
    steps = missing_steps(goal)
    if not steps:
        return 0
    check_machine(steps)
    progress = Progress(len(steps), sys.stdout)
    progress.plan(goal, steps)

    def make(step: Step) -> None:
        with progress.step(step):
            step.run()

    with progress.redrawn():
        for _, together in groupby(steps, key=lambda step: step.stage):
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(make, together))
    progress.finish()
    return 0
