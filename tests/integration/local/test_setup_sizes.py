"""What set-up promises of the disk is what it takes."""

from pathlib import Path

import pytest

from infra.install.goals import STEPS
from infra.install.step import Step
from infra.paths import ROOT

FOLDERS = {
    "model": ".local/model",
    "prisma": "layers/prisma/node_modules",
    "graphiql": ".local/graphiql",
    "chat-page": ".local/chat-page",
    "emulator": ".local/emulator",
    "ministack": ".local/ministack",
    "openai-2": ".local/openai-2",
    "clients": ".local/clients",
    "clients-2": ".local/clients-2",
    "clients-3": ".local/clients-3",
    "clients-node": ".local/clients-node",
    "clients-node-6": ".local/clients-node-6",
    "frameworks": ".local/frameworks",
    "node-packages": "node_modules",
}
BY_NAME = {step.name: step for step in STEPS}


def size_mb(folder: Path) -> float:
    """Return what set-up brought into a folder, of the disk; a file with two names counts once."""
    blocks = {
        (status.st_dev, status.st_ino): status.st_blocks
        # What the emulator unpacks at its first use, and what Python compiles, set-up did not bring.
        for status in (
            path.lstat()
            for path in folder.rglob("*")
            if not path.name.endswith("-rie") and path.parent.name != "__pycache__"
        )
    }
    return sum(blocks.values()) * 512 / 1e6


@pytest.mark.parametrize("step", [BY_NAME[name] for name in FOLDERS], ids=lambda step: step.name)
def test_a_step_takes_what_set_up_says(step: Step) -> None:
    if not step.is_done():
        pytest.skip("not set up here")
    assert size_mb(ROOT / FOLDERS[step.name]) == pytest.approx(step.disk_mb, rel=0.25, abs=3)


def test_the_python_environment_takes_what_set_up_says() -> None:
    done = [step.disk_mb for step in STEPS if step.name.startswith("packages-") and step.is_done()]
    if not done:
        pytest.skip("not set up here")
    said_mb = max(done) + sum(
        BY_NAME[name].disk_mb for name in ("venv", "uv", "node") if BY_NAME[name].is_done()
    )
    assert size_mb(ROOT / ".venv") == pytest.approx(said_mb, rel=0.25)
