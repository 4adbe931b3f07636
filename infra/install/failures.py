"""What a failed step prints: what to do next, and the end of the command's own output."""

from __future__ import annotations

import shlex

from infra.install.step import Step
from infra.paths import ROOT

SHOWN_LINES = 15
_NETWORK = "Check the network, and the proxy or the index that {} is configured for"
# What the command printed → the cause, and the next step. The first that fits wins.
KNOWN_FAILURES = {
    "No space left on device": "the disk is full. Free some space",
    "ENOSPC": "the disk is full. Free some space",
    "DO NOT MATCH THE HASHES": "a package differs from the pinned one. Check whether a proxy changes it",
    "NewConnectionError": f"the package index cannot be reached. {_NETWORK.format('pip')}",
    "NameResolutionError": f"the package index cannot be reached. {_NETWORK.format('pip')}",
    "ReadTimeoutError": f"the package index does not respond. {_NETWORK.format('pip')}",
    "ENOTFOUND": f"the npm registry cannot be reached. {_NETWORK.format('npm')}",
    "ECONNREFUSED": f"the npm registry cannot be reached. {_NETWORK.format('npm')}",
    "(from versions: none)": f"the package index cannot be reached or lacks it. {_NETWORK.format('pip')}",
    "No matching distribution": "the package index lacks a package for this Python or system. "
    "Try another Python from 3.11 to 3.13",
    "npm error code EUSAGE": "package.json and package-lock.json differ. Restore both as they were committed",
}


def describe_failure(step: Step) -> str:
    """Return the text for a failed step: the end of its output, the cause if known, the next step."""
    output = step.log_file.read_text(errors="replace")
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    shown = [f"  {line}" for line in lines[-SHOWN_LINES:]] or ["  (it printed nothing)"]
    causes = (cause for sign, cause in KNOWN_FAILURES.items() if sign in output)
    cause = next(causes, "the command failed; its last lines are above")
    log = step.log_file.relative_to(ROOT)
    return "\n".join(
        (
            f"{step.title} failed. The command was: {shlex.join(step.command)}",
            *shown,
            f"{step.title}: {cause}.",
            f"Then run the same command again: finished steps are kept. All of the output: {log}",
        )
    )
