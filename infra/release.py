"""Check and tag a release: `python -m infra.release check|tag`, as `make release` runs them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from infra.paths import ROOT


def version(root: Path) -> str:
    """Return the project's version."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def changes(root: Path, number: str) -> str:
    """Return what `CHANGELOG.md` lists under a version and its date; "" without such a heading."""
    heading = rf"^## {re.escape(number)} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)"
    section = re.search(heading, (root / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL)
    return section[1].strip() if section else ""


def problems(root: Path) -> list[str]:
    """List what keeps this commit from being released, each with what to do."""
    number = version(root)
    found = []
    if git(root, "branch", "--show-current") != "main":
        found.append("Expected the branch main. Switch to it: git switch main")
    if git(root, "status", "--porcelain"):
        found.append("Expected no uncommitted changes. Commit or stash them.")
    if git(root, "tag", "--list", f"v{number}"):
        found.append(f"The tag v{number} exists. Raise the version in pyproject.toml.")
    if not changes(root, number):
        found.append(f"Expected a section '## {number} (<date>)' with changes in CHANGELOG.md. Write it.")
    return found


def git(root: Path, *arguments: str) -> str:
    """Run git and return its output."""
    done = subprocess.run(("git", *arguments), cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def main(arguments: list[str], root: Path = ROOT) -> str | None:
    """Check, or check and tag; return the text to fail with."""
    if arguments not in (["check"], ["tag"]):
        return "Expected: python -m infra.release check|tag"
    if found := problems(root):
        return "\n".join(found)
    if arguments == ["tag"]:
        number = version(root)
        git(root, "tag", "--annotate", f"v{number}", "--message", f"{number}\n\n{changes(root, number)}")
        print(f"Tagged v{number}. Publish it: git push origin main v{number}")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
