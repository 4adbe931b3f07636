"""The templates of the stages, and the engine's stack in its variants."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from .engines import VARIANTS, EngineTemplate, EngineVariants, read_variants
from .templates import Deployment, Deployments, one_worker, shared_folder

# Tests of `dev` alone run in `make test`; those that need more syntheses only in `make test-all`.
_SLOW_FIXTURES = {"serverless", "prod", "variants"}
_SLOW_STAGES = {"serverless", "prod"}
_SYNTHESIS_TIMEOUT_S = 300


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Deployment]:
    """The stages of `infra/stages.py`, by name."""
    return Deployments(shared_folder(tmp_path_factory))


@pytest.fixture
def serverless(deployments: Mapping[str, Deployment]) -> Deployment:
    return deployments["serverless"]


@pytest.fixture
def dev(deployments: Mapping[str, Deployment]) -> Deployment:
    return deployments["dev"]


@pytest.fixture
def prod(deployments: Mapping[str, Deployment]) -> Deployment:
    return deployments["prod"]


@pytest.fixture(params=["serverless", "dev", "prod"])
def deployment(deployments: Mapping[str, Deployment], request: pytest.FixtureRequest) -> Deployment:
    """Each stage in turn."""
    return deployments[request.param]


@pytest.fixture(params=["dev", "prod"])
def with_engine(deployments: Mapping[str, Deployment], request: pytest.FixtureRequest) -> Deployment:
    """Each stage that has an engine in turn."""
    return deployments[request.param]


@pytest.fixture(scope="session")
def variants(tmp_path_factory: pytest.TempPathFactory) -> EngineVariants:
    folder = shared_folder(tmp_path_factory)
    with one_worker(folder / "synth-variants.lock"):
        return read_variants(folder / "synth-variants")


@pytest.fixture(params=VARIANTS)
def engine(variants: EngineVariants, request: pytest.FixtureRequest) -> EngineTemplate:
    """Each variant in turn."""
    return variants.templates[request.param]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a synthesis time on a busy machine; mark as slow what needs more than that of `dev`.

    One worker does them all: another one would only wait for what is synthesised.
    """
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.xdist_group("infra"))
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & {"deployments", "variants"}:
            item.add_marker(pytest.mark.timeout(_SYNTHESIS_TIMEOUT_S))
            # A stage is a parameter of the test, or of the fixture `deployment`.
            if fixtures & _SLOW_FIXTURES or _SLOW_STAGES & set(re.split(r"[][-]", item.name)):
                item.add_marker(pytest.mark.slow)
