"""What a machine of a warm pool runs when it starts: the real script, with stand-ins for its programs."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.inference.sources import source

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/engines@sha256:0f"
# Each call of a stand-in is a line; `FAILS` is a pattern of the calls that fail.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
echo "$(basename "$0") $*" | grep -qE "$FAILS" && exit 1
case "$(basename "$0") $*" in
    "curl "*instance-id) echo i-0123 ;;
    "curl "*) echo token ;;
    "aws autoscaling describe"*) echo a-group ;;
    "aws ecr"*) echo a-password ;;
    "docker login"*) cat > "$CALLS.password" ;;
esac
"""
PULL = f"docker pull --quiet {IMAGE}"
INSPECT = f"docker image inspect {IMAGE}"
NOTHING = "^$"


def calls(
    folder: Path, *, fails: str, programs: tuple[str, ...] = ("aws", "curl", "docker", "dnf", "sleep")
) -> list[str]:
    """Run the script; return the calls of the programs of its machine, where no others are."""
    programs_folder = folder / "bin"
    programs_folder.mkdir()
    for name in programs:
        (programs_folder / name).write_text(STAND_IN)
        (programs_folder / name).chmod(0o755)
    for name in ("basename", "cat", "grep", "seq", "sh"):
        (programs_folder / name).symlink_to(f"/usr/bin/{name}")
    environment = {"PATH": str(programs_folder), "CALLS": str(folder / "calls"), "FAILS": fails}
    variables = {"IMAGE": IMAGE, "HOOK": "prepare", "AWS_DEFAULT_REGION": "eu-central-1"}
    script = ["/bin/bash", "-c", source("prepare", "sh")]
    subprocess.run(
        script, env=os.environ | environment | variables, check=False, timeout=30, capture_output=True
    )
    return (folder / "calls").read_text().splitlines()


def completed(done: list[str]) -> bool:
    return done[-1] == (
        "aws autoscaling complete-lifecycle-action --lifecycle-hook-name prepare "
        "--auto-scaling-group-name a-group --instance-id i-0123 --lifecycle-action-result CONTINUE"
    )


def test_at_its_first_start_a_machine_pulls_the_image_before_it_is_stopped(tmp_path: Path) -> None:
    done = calls(tmp_path, fails=INSPECT)
    assert PULL in done
    assert completed(done)
    registry = IMAGE.partition("/")[0]
    assert f"docker login --username AWS --password-stdin {registry}" in done
    assert (tmp_path / "calls.password").read_text() == "a-password\n"
    assert f"docker logout {registry}" in done


def test_at_its_second_start_it_only_reports_itself(tmp_path: Path) -> None:
    done = calls(tmp_path, fails=NOTHING)
    assert INSPECT in done
    assert not [each for each in done if each.startswith(("docker login", "docker pull", "aws ecr", "dnf"))]
    assert completed(done)


@pytest.mark.parametrize("fails", ["docker pull", "docker login", "docker info"])
def test_a_machine_that_cannot_pull_reports_itself_as_well(tmp_path: Path, fails: str) -> None:
    assert completed(calls(tmp_path, fails=f"image inspect|{fails}"))


def test_a_machine_without_aws_s_command_line_installs_it(tmp_path: Path) -> None:
    done = calls(tmp_path, fails=INSPECT, programs=("curl", "docker", "dnf", "sleep"))
    assert done[0] == "dnf install --assumeyes --quiet awscli-2"
