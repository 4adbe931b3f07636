"""Deploy a stage: `python -m infra.deploy`, as `make deploy` runs it.

doctor ─▶ synth ─▶ the plan and one question ─▶ cdk deploy ─▶ the outputs ─▶ smoke test

Variables: STAGE. YES=1 answers the question, which needs a terminal otherwise; FORCE=1 goes on although the
doctor has found something; SMOKE=0 leaves the smoke test out. Arguments: `--app FOLDER` deploys templates
that are there; `-c NAME=VALUE` goes to `cdk synth`; all others go to `cdk deploy`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.deploy import plan
from infra.deploy.program import Program, Refused, ended
from infra.deploy.stacks import UNREACHABLE
from infra.paths import ROOT

_ASSEMBLY = ROOT / "cdk.out"
_DEPLOY = ("deploy", "--all", "--require-approval", "never", "--progress", "events")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Deploy the stage of the environment; return the exit status.

    Raises: Refused.
    """
    program = Program.of("deploy", environ, sys.stdout)
    program.check_terminal(sys.stdin)

    def call(name: str) -> int:
        command = (sys.executable, "-m", f"infra.{name}")
        return subprocess.run(command, cwd=ROOT, env=dict(environ), check=False).returncode

    return deploy(program, arguments, call)


def deploy(program: Program, arguments: Sequence[str], call: Callable[[str], int]) -> int:
    """Deploy a stage; return the exit status.

    Shape:  `call` runs one of the other programs, `doctor` or `smoke`, and returns its exit status.
    Raises: Refused.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--app")
    parser.add_argument("-c", "--context", action="append", default=[])
    options, others = parser.parse_known_args(arguments)
    if call("doctor"):
        if program.environ.get("FORCE") != "1":
            raise Refused(
                "The doctor found what would keep this deployment from working; nothing was changed. To go "
                f"on all the same: make deploy STAGE={program.stage.name} FORCE=1"
            )
        program.say("FORCE=1: going on although the doctor found something.")
    account = program.account()
    assembly = Path(options.app) if options.app else _ASSEMBLY
    if not options.app:
        program.synth(assembly, [word for each in options.context for word in ("-c", each)])
    counts = plan.resources(assembly, program.stage.name)
    program.say(plan.text(program.stage, account=account, region=program.region, counts=counts))
    program.confirm(f"\nDeploy {program.stage.name}?")
    program.say()
    status = program.follow([*_DEPLOY, "--app", str(assembly), *others])
    if status:
        return status
    show_outputs(program)
    return call("smoke") if program.environ.get("SMOKE") != "0" else 0


def show_outputs(program: Program) -> None:
    """Print what the stacks' outputs are, the API's first."""
    try:
        by_stack = program.stacks.outputs()
    except UNREACHABLE as error:
        program.say(f"The outputs could not be read: {error}. They are in CloudFormation's console.")
        return
    shown = {name: value for stack in by_stack.values() for name, value in stack.items()}
    width = max(map(len, shown), default=0)
    program.say()
    for name in sorted(shown, key=lambda name: (not name.endswith("Url"), name != "FirstKey", name)):
        program.say(f"  {name:<{width}}  {shown[name]}")
    program.say()


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:], os.environ)))
