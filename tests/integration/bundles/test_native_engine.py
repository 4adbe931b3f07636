"""Prisma's native engine in its layer, from a mirror on this machine that holds made-up bytes."""

from pathlib import Path

import pytest

from infra.bundling import prisma_layer
from infra.bundling.cache import BundleCache
from infra.bundling.errors import BundleError
from infra.bundling.prisma_layer import engine_file
from infra.bundling.prisma_recipes import engine_recipe
from tests.integration.prisma.test_native_engine import Mirror, mirror

__all__ = ["mirror"]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prisma_layer, "_FETCHED", tmp_path / "fetched")
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))


def test_it_is_fetched_once(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRISMA_ENGINES_MIRROR", mirror.url)
    monkeypatch.setenv("PRISMA_QUERY_ENGINE_BINARY", "/bin/sh")  # for a laptop: it is not what is deployed
    recipe = engine_recipe(architecture="arm64", without_engine=False)
    layer = BundleCache(tmp_path / "bundles").get(recipe)
    assert (layer / "query-engine").read_bytes() == mirror.checksum_of
    assert (layer / "query-engine").stat().st_mode & 0o777 == 0o555
    assert (layer / "rds-ca.pem").exists()
    assert not (layer / "NOT-INCLUDED.txt").exists()
    assert engine_file("arm64").exists()
    assert not engine_file("x86_64").exists()

    mirror.requested.clear()
    BundleCache(tmp_path / "others").get(recipe)
    assert mirror.requested == []


def test_it_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRISMA_ENGINES_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(BundleError) as failure:
        BundleCache(tmp_path / "bundles").get(engine_recipe(architecture="x86_64", without_engine=False))
    text = str(failure.value)
    assert text.startswith("Expected Prisma's native query engine for x86_64, but got:\n")
    assert "set PRISMA_ENGINES_MIRROR to a mirror" in text
    assert text.endswith("`make synth` works without it; a deployment needs it.")
    assert list((tmp_path / "fetched").rglob("*engine*")) == []
