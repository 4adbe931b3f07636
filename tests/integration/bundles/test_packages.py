"""Installing where the packages cannot be had."""

from pathlib import Path

import pytest

from infra.bundling.errors import BundleError
from infra.bundling.packages import install
from infra.paths import ROOT


@pytest.fixture(autouse=True)
def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is unreachable, and nothing was fetched before."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as failure:
        install(ROOT / "requirements/chat.txt", tmp_path / "python", architecture="arm64", python="3.13")
    text = str(failure.value)
    assert text.startswith("Expected the packages of requirements/chat.txt for arm64, but got:\n")
    assert "127.0.0.1:1" in text
    assert text.endswith("an index of your own goes into UV_DEFAULT_INDEX.")


def test_a_package_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.delenv("UV_CACHE_DIR")
    monkeypatch.setattr("infra.bundling.packages.ROOT", tmp_path)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(BundleError, match=r"Hash mismatch for `six==1\.17\.0`"):
        install(requirements, tmp_path / "python", architecture="arm64", python="3.13")
    assert not (tmp_path / "python" / "six.py").exists()
