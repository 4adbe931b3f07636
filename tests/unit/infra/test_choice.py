"""What the command line and a stage may contain; mistakes are reported as texts, not as tracebacks."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from functions.chat import models
from functions.chat.engines.kinds import ENGINES
from infra import choice
from infra.choice import KINDS, ChoiceError, chosen_stage
from infra.stages import (
    DEV,
    PROD,
    SERVERLESS,
    STAGES,
    Database,
    Domain,
    Engine,
    Hosted,
    ManagedInstances,
    Model,
    Prices,
)

from .templates import ROOT

SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:theirs-AbCdEf"
ARN = "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d-1111-2222-3333-444455556666"


def priced(**changes: Any) -> dict[str, Any]:
    return {"engine": Engine(model=Model(prices=replace(Prices(input=0.15, output=0.6), **changes)))}


def hosted(**changes: Any) -> dict[str, Any]:
    return {"hosted": (replace(Hosted(), **changes),)}


def managed(**changes: Any) -> dict[str, Any]:
    return {"managed_instances": ManagedInstances(**changes)}


@pytest.mark.parametrize("name", STAGES)
def test_our_stages_can_be_built(name: str) -> None:
    assert chosen_stage(name) is STAGES[name]


def test_an_error_about_an_unknown_stage_lists_those_that_there_are() -> None:
    with pytest.raises(ChoiceError, match="one of the stages serverless, dev, prod, but got 'foo'") as raised:
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
            'engine.model.media_hosts: expected none without egress="nat"',
        ),
        (
            {"engine": Engine(model=Model(extra_fields=("top-k",)))},
            "engine.model.extra_fields: expected names such as top_k, but got 'top-k'.",
        ),
        (priced(input=-0.1), "engine.model.prices.input: expected 0 to 100000, but got -0.1."),
        (priced(output=math.nan), "engine.model.prices.output: expected 0 to 100000, but got nan."),
        (priced(cached=100_001), "engine.model.prices.cached: expected 0 to 100000, but got 100001."),
        (
            priced(currency="$") | {"hosted": ()},
            "engine.model.prices.currency: expected a code such as USD or EUR, but got '$'",
        ),
        ({"engine": Engine(image="vllm/vllm-openai@sha256:12")}, "engine.image: expected sha256: and 64"),
        ({"engine": Engine(image="vllm/vllm-openai@md5:" + "0" * 64)}, "engine.image: expected sha256:"),
        ({"engine": None, "hosted": ()}, "engine, hosted: expected an engine, or a hosted model"),
        ({"hosted": (Hosted(), Hosted())}, "hosted: expected a name of its own for each model, but got"),
        (hosted(id=Model().id), "hosted: expected a name of its own for each model, but got 'Qwen/Qwen3-8B'"),
        (hosted(kind="gemini"), "hosted[0].kind: expected one of vllm, llama.cpp, sglang"),
        (hosted(kind="openai"), "hosted[0].kind: expected \"bedrock\" without base_url, but got 'openai'"),
        (hosted(base_url="http://api.example.com/v1"), "hosted[0].base_url: expected https:// and a public"),
        (hosted(base_url="https://10.0.0.1/v1"), "hosted[0].base_url: expected https:// and a public name"),
        (hosted(key_secret=SECRET), "hosted[0].key_secret: expected none for Bedrock, which takes"),
        (
            hosted(base_url="https://api.example.com/v1", key_secret="sk-1"),
            "hosted[0].key_secret: expected the whole ARN of a secret, as AWS prints it, but got",
        ),
        (hosted(max_tokens_default=9_000), "hosted[0].max_tokens_default: expected 1 to max_tokens_limit"),
        (hosted(extra_fields=("top-k",)), "hosted[0].extra_fields: expected names such as top_k"),
        (hosted(prices=Prices(input=-1, output=1)), "hosted[0].prices.input: expected 0 to 100000"),
        (
            priced(currency="EUR"),
            "prices: expected one currency for all models, but got EUR and USD.",
        ),
        (
            {"engine": Engine(model=Model(hedge_after_s=90))},
            "engine.model.hedge_after_s: expected above 0, at most 60, but got 90.",
        ),
        (
            {"engine": Engine(model=Model(hedge_after_s=3)), "hosted": ()},
            "engine.model.hedge_after_s: expected a hosted model that gets the stream",
        ),
        (managed(environments=(0, 0)), "managed_instances.environments: expected the minimum, at least 1"),
        (managed(environments=(3, 2)), "managed_instances.environments: expected the minimum, at least 1"),
        (managed(concurrency=65), "managed_instances.concurrency: expected 1 to 64, all that Lambda allows"),
        (managed(memory_gib=3), "managed_instances.memory_gib: expected 2, 4 or 8, but got 3."),
        (managed(instance_types=()), "managed_instances.instance_types: expected one at least"),
        (
            managed(instance_types=("t4g.large",)),
            "managed_instances.instance_types: expected types of C, M or R from large up, as c7g.large, but",
        ),
        (
            managed(instance_types=("c7i.large",)),
            "managed_instances.instance_types: expected types of arm64, as the functions are, but got "
            "'c7i.large' of x86_64.",
        ),
        (
            managed(memory_gib=4),
            "managed_instances.instance_types: expected room for 4 GiB beside Lambda's own, but c7g.large",
        ),
        (
            managed() | {"engine": None},
            'managed_instances: expected egress="nat" without an engine, since hosted models are then called',
        ),
        ({"budget": 0}, "budget: expected at least 1, but got 0."),
        ({"egress": "endpoints"}, "egress: expected ipv6 or nat, but got 'endpoints'."),
        ({"gateway_role": "mine"}, "gateway_role: expected ours or theirs or none, but got 'mine'."),
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


def test_managed_instances_are_of_the_processor_that_is_chosen() -> None:
    stages = {"own": replace(PROD, managed_instances=ManagedInstances())}
    chosen_stage("own", stages)
    with pytest.raises(ChoiceError, match=r"expected types of x86_64, .* but got 'c7g\.large' of arm64"):
        chosen_stage("own", stages, architecture="x86_64")


def test_no_budget_is_accepted() -> None:
    """CloudFormation does not have them in all regions: cloudformation-coverage-roadmap #2177."""
    chosen_stage("own", {"own": replace(DEV, budget=None)})


def test_prices_of_nothing_are_accepted() -> None:
    model = Model(prices=Prices(input=0.15, cached=0, output=0, currency="EUR"))
    chosen_stage("own", {"own": replace(DEV, engine=Engine(model=model), hosted=())})


def test_a_model_at_another_address_is_accepted() -> None:
    model = Hosted(id="theirs", base_url="https://api.example.com/v1", kind="openai", key_secret=SECRET)
    chosen_stage("own", {"own": replace(SERVERLESS, hosted=(model, Hosted()))})


def test_the_kinds_are_those_of_the_chat_function() -> None:
    assert set(KINDS) == set(ENGINES)
    assert models._LONGEST_HEDGE_S == choice._LONGEST_HEDGE_S


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
    assert done.stderr.splitlines()[-1].startswith(
        "Expected one of the stages serverless, dev, prod, but got 'foo'."
    )
    assert "Traceback" not in done.stderr


def test_functions_may_be_built_for_another_processor() -> None:
    assert chosen_stage("dev").architecture == "arm64"
    assert chosen_stage("dev", architecture="x86_64").architecture == "x86_64"
    with pytest.raises(ChoiceError, match="Expected the architecture arm64 or x86_64, but got 'sparc'"):
        chosen_stage("dev", architecture="sparc")
