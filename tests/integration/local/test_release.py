import re
from pathlib import Path

import pytest

from infra.release import git, main


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository that is ready for version 1.2.3."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.3 (2026-11-26)\n\n- New.\n\n## 1.2.2 (2026-11-25)\n\n- Old.\n"
    )
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "config", "user.name", "Test")
    git(tmp_path, "config", "user.email", "test@localhost")
    commit(tmp_path)
    return tmp_path


def commit(clone: Path) -> None:
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "One")


def test_a_release_is_tagged_once_with_its_changes(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tag"], clone) is None
    assert capsys.readouterr().out == "Tagged v1.2.3. Publish it: git push origin main v1.2.3\n"
    assert git(clone, "tag", "--list", "--format", "%(contents)", "v1.2.3") == "1.2.3\n\n- New."
    assert main(["tag"], clone) == "The tag v1.2.3 exists. Raise the version in pyproject.toml."


def test_a_check_tags_nothing(clone: Path) -> None:
    assert main(["check"], clone) is None
    assert git(clone, "tag") == ""


def test_a_release_needs_a_clean_main(clone: Path) -> None:
    git(clone, "switch", "--quiet", "--create", "other")
    (clone / "new").touch()
    assert re.fullmatch(
        r"Expected the branch main\..*\nExpected no uncommitted.*", main(["tag"], clone) or ""
    )


def test_a_release_needs_dated_changes(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3\n\n- New.\n")
    commit(clone)
    assert "Expected a section '## 1.2.3 (<date>)'" in (main(["check"], clone) or "")
