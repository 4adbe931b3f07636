"""What the command line and a stage may contain; mistakes are reported as texts, not as tracebacks."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from infra.choice import ChoiceError, chosen_stage
from infra.stages import DEV, PROD, STAGES, Database, Domain, Engine, Model, Prices

from .templates import ROOT

ARN = "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d-1111-2222-3333-444455556666"


def priced(**changes: Any) -> dict[str, Any]:
    return {"engine": Engine(model=Model(prices=replace(Prices(input=0.15, output=0.6), **changes)))}


@pytest.mark.parametrize("name", STAGES)
def test_our_stages_can_be_built(name: str) -> None:
    assert chosen_stage(name) is STAGES[name]


def test_an_error_about_an_unknown_stage_lists_those_that_there_are() -> None:
    with pytest.raises(ChoiceError, match="one of the stages dev, prod, but got 'foo'") as raised:
        chosen_stage("foo")
    assert "infra/stages.py" in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"domain": Domain(name="https://api.example.com", certificate_arn=ARN)},
            "domain.name: expected a name",
        ),
        ({"domain": Domain(name="api", certificate_arn=ARN)}, "domain.name: expected a name"),
        (
            {"domain": Domain(name="api.example.com", certificate_arn="mine")},
            "domain.certificate_arn: expected",
        ),
        ({"name": "Staging_1"}, "name: expected lower-case"),
        ({"zones": 1}, "zones: expected 2"),
        ({"log_days": 8}, "log_days: expected one of 1, 3, 5, 7"),
        ({"cors_origins": ("https://a.example/",)}, "cors_origins: expected"),
        ({"cors_origins": ("*", "https://a.example")}, "cors_origins: expected"),
        ({"max_body_bytes": 0}, "max_body_bytes: expected 1 to 5000000, since Lambda takes events of 6 MB"),
        ({"max_body_bytes": 6_000_000}, "max_body_bytes: expected 1 to 5000000"),
        ({"max_event_bytes": 0}, "max_event_bytes: expected at least 1, but got 0."),
        ({"keep_records_days": -1}, "keep_records_days: expected at least 1, but got -1."),
        (
            {"egress": "nat", "engine": Engine(model=Model(media_hosts=("https://a.example",)))},
            "engine.model.media_hosts: expected names",
        ),
        (
            {"egress": "nat", "engine": Engine(model=Model(media_hosts=("169.254.169.254",)))},
            "engine.model.media_hosts: expected names",
        ),
        (
            {"engine": Engine(model=Model(media_hosts=("images.example.com",)))},
            'engine.model.media_hosts: expected none with egress="endpoints"',
        ),
        (
            {"engine": Engine(model=Model(extra_fields=("top-k",)))},
            "engine.model.extra_fields: expected names such as top_k, but got 'top-k'.",
        ),
        (priced(input=-0.1), "engine.model.prices.input: expected 0 to 100000, but got -0.1."),
        (priced(output=math.nan), "engine.model.prices.output: expected 0 to 100000, but got nan."),
        (priced(cached=100_001), "engine.model.prices.cached: expected 0 to 100000, but got 100001."),
        (
            priced(currency="$"),
            "engine.model.prices.currency: expected a code such as USD or EUR, but got '$'",
        ),
        ({"engine": Engine(image="vllm/vllm-openai@sha256:12")}, "engine.image: expected sha256: and 64"),
        ({"engine": Engine(image="vllm/vllm-openai@md5:" + "0" * 64)}, "engine.image: expected sha256:"),
        ({"engine": Engine(tasks=(2, 1))}, "engine.tasks: expected the minimum, then the maximum"),
        (
            {"database": Database(capacity=(0, 0))},
            "database.capacity: expected the minimum, then the maximum",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_in_a_stage_is_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ChoiceError) as raised:
        chosen_stage("own", {"own": replace(DEV, **changes)})
    assert str(raised.value).startswith(f"infra/stages.py, own: {expected}")


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ChoiceError) as raised:
        chosen_stage("own", {"own": replace(PROD, zones=9, log_days=8)})
    assert len(str(raised.value).splitlines()) == 2


@pytest.mark.parametrize("origins", [("*",), (), ("https://a.example", "http://localhost:3000")])
def test_these_origins_are_accepted(origins: tuple[str, ...]) -> None:
    chosen_stage("own", {"own": replace(DEV, cors_origins=origins)})


def test_media_hosts_and_an_image_by_digest_are_accepted() -> None:
    model = Model(media_hosts=("images.example.com",), extra_fields=("top_k", "min_p"))
    engine = Engine(model=model, image="registry.example.com:5000/vllm:v1@sha256:" + "0f" * 32)
    chosen_stage("own", {"own": replace(DEV, egress="nat", engine=engine)})


def test_prices_of_nothing_are_accepted() -> None:
    model = Model(prices=Prices(input=0.15, cached=0, output=0, currency="EUR"))
    chosen_stage("own", {"own": replace(DEV, engine=Engine(model=model))})


def test_a_domain_with_its_certificate_is_accepted() -> None:
    chosen_stage("own", {"own": replace(DEV, domain=Domain(name="api.example.com", certificate_arn=ARN))})


@pytest.mark.slow
def test_the_app_prints_the_mistake_and_exits() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env={**os.environ, "CDK_CONTEXT_JSON": json.dumps({"stage": "foo"})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Expected one of the stages dev, prod, but got 'foo'.")
    assert "Traceback" not in done.stderr


def test_functions_may_be_built_for_another_processor() -> None:
    assert chosen_stage("dev").architecture == "arm64"
    assert chosen_stage("dev", architecture="x86_64").architecture == "x86_64"
    with pytest.raises(ChoiceError, match="Expected the architecture arm64 or x86_64, but got 'sparc'"):
        chosen_stage("dev", architecture="sparc")
