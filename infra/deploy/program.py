"""What deploying and destroying have in common: stage, account, question, CDK and its failures."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import boto3

from infra.deploy.cdk import ALWAYS, CDK, Run, run
from infra.deploy.failures import describe
from infra.deploy.progress import Progress
from infra.deploy.stacks import UNREACHABLE, Failure, Stacks, prefix_of
from infra.paths import ROOT
from infra.stages import STAGES, Stage

INTERRUPTED = 130
# How much later than AWS's this machine's clock may be.
_CLOCKS = timedelta(seconds=5)
_BUILD_LINES = 5
_BUILD_WIDTH = 160


class Refused(Exception):
    """Nothing was begun, or no more will be; the text says why, and what to do."""


@dataclass(frozen=True)
class Program:
    """One run of a command for a stage, in the account of the environment's credentials.

    Shape:  `run`: runs a command, as `infra.deploy.cdk.run` does. `client`: makes a client of an AWS service.
    """

    command: str
    stage: Stage
    environ: Mapping[str, str]
    out: TextIO
    region: str
    client: Callable[[str], Any]
    run: Run = run
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def of(cls, command: str, environ: Mapping[str, str], out: TextIO) -> Program:
        """Return the program for the stage and the region of the environment.

        Raises: Refused.
        """
        name = environ.get("STAGE", "")
        if name not in STAGES:
            raise Refused(
                f"Expected STAGE to be one of {', '.join(STAGES)}, but got {name!r}: make {command} STAGE=dev"
            )
        session = boto3.Session(region_name=environ.get("AWS_REGION") or None)  # boto3 does not read it
        if not session.region_name:
            raise Refused("Expected a region in AWS_REGION, or in AWS_PROFILE's profile, but found none.")
        program = cls(command, STAGES[name], environ, out, session.region_name, session.client)
        program.log.write_text("")
        return program

    @property
    def stacks(self) -> Stacks:
        return Stacks(prefix_of(self.stage.name), self.client("cloudformation"))

    @property
    def log(self) -> Path:
        """Where all that CDK prints is kept."""
        folder = ROOT / ".local" / "deploy"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.stage.name}.log"

    def say(self, text: str = "") -> None:
        print(text, file=self.out, flush=True)

    def account(self) -> str:
        """Return the account of the credentials.

        Raises: Refused.
        """
        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except UNREACHABLE as error:
            raise Refused(
                f"AWS did not accept the credentials: {error}. Log in, as with `aws sso login`, or set "
                "AWS_PROFILE."
            ) from None

    def check_terminal(self, stdin: TextIO) -> None:
        """Make sure that the question can be answered.

        Raises: Refused.
        """
        if self.environ.get("YES") != "1" and not stdin.isatty():
            raise Refused(
                f"make {self.command} has one question, and there is no terminal to answer it. To answer it "
                f"beforehand: make {self.command} STAGE={self.stage.name} YES=1"
            )

    def confirm(self, question: str, read: Callable[[str], str] = input) -> None:
        """Put the question, unless YES=1 answers it.

        Raises: Refused.
        """
        if self.environ.get("YES") == "1":
            self.say(f"{question} YES=1")
            return
        answer = ""
        with suppress(EOFError):
            answer = read(f"{question} [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise Refused("Nothing was changed.")

    def synth(self, assembly: Path, options: Sequence[str]) -> None:
        """Write the stage's templates and bundles.

        Raises: Refused.
        """
        self.say("Building the functions and the templates …")
        command = (CDK, "synth", "--quiet", "-c", f"stage={self.stage.name}", "--output", str(assembly))
        lines: list[str] = []
        status = self.run((*command, *options, *ALWAYS), self._kept(lines.append), lambda: None)
        if status:
            raise Refused(describe("synth", stage=self.stage.name, stack="", failures=(), lines=lines))

    def follow(self, arguments: Sequence[str]) -> int:
        """Run a command of CDK's, show its progress, and describe its failure; return the exit status."""
        began = self.now() - _CLOCKS
        lines: list[str] = []
        progress = Progress(self.out, build_lines=self._build_log(began))

        def on_line(line: str) -> None:
            lines.append(line)
            progress.line(line)

        try:
            with _TerminationAsInterrupt():
                status = self.run((CDK, *arguments, *ALWAYS), self._kept(on_line), progress.pause)
        except KeyboardInterrupt:
            progress.end()
            at = progress.stack
            self.say(
                f"Interrupted. CloudFormation goes on with {at} by itself, and is paid for. How far it is: "
                f"aws cloudformation describe-stacks --stack-name {at} --query 'Stacks[0].StackStatus'. "
                f"When it has ended, make {self.command} STAGE={self.stage.name} goes on from there."
                if at
                else "Interrupted before the first stack: nothing was changed."
            )
            return INTERRUPTED
        progress.end()
        if status:
            failures: list[Failure] = []
            with suppress(*UNREACHABLE):
                failures = self.stacks.failures(progress.stack, began) if progress.stack else []
            text = describe(
                self.command, stage=self.stage.name, stack=progress.stack, failures=failures, lines=lines
            )
            self.say(f"\n{text}\nAll that CDK printed: {self.log.relative_to(ROOT)}")
        return status

    def _kept(self, on_line: Callable[[str], None]) -> Callable[[str], None]:
        """Return a function that also appends each line to the log."""

        def keep(line: str) -> None:
            with self.log.open("a") as file:
                file.write(f"{line}\n")
            on_line(line)

        return keep

    def _build_log(self, began: datetime) -> Callable[[], list[str]]:
        """Return a function that returns what the build has logged since the last call, its last lines."""
        since_ms, group = int(began.timestamp() * 1000), ""

        def read() -> list[str]:
            nonlocal since_ms, group
            try:
                group = group or self.stacks.part("Supply", "AWS::Logs::LogGroup", "") or ""
                found = self.client("logs").filter_log_events(logGroupName=group, startTime=since_ms)
            except UNREACHABLE:
                return []
            events = found["events"]
            if not events:
                return [f"no new lines in {group}"]
            since_ms = int(events[-1]["timestamp"]) + 1
            return [event["message"].strip()[:_BUILD_WIDTH] for event in events[-_BUILD_LINES:]]

        return read


class _TerminationAsInterrupt:
    """Let SIGTERM, by which a pipeline cancels, do what Ctrl-C does."""

    def __enter__(self) -> None:
        def interrupt(_number: int, _frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        self._before = signal.signal(signal.SIGTERM, interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)


def ended(main: Callable[[], int]) -> int:
    """Return a program's exit status; print why it ended early."""
    try:
        return main()
    except Refused as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted: nothing was changed.", file=sys.stderr, flush=True)
        return INTERRUPTED
