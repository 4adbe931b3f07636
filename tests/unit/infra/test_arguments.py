"""vLLM's command line; `make check-vllm` checks the same with vLLM's own parser."""

import json
from dataclasses import replace

import pytest

from infra.inference.arguments import PORT, Place, variables, vllm_arguments
from infra.inference.fit import UnfitEngine
from infra.stacks.network import ENGINE_PORT
from infra.stages import STAGES, Engine, Model

PATH = "s3://bucket/models/a/b"


def options_of(engine: Engine) -> dict[str, str]:
    """Return the options with a value, by name."""
    arguments = vllm_arguments(engine, model_path=PATH)
    return {
        name: value
        for name, value in zip(arguments, [*arguments[1:], "--"], strict=True)
        if name.startswith("--") and not value.startswith("--")
    }


def test_the_default_engine_word_for_word() -> None:
    assert vllm_arguments(Engine(), model_path=PATH) == [
        PATH,
        *("--served-model-name", "Qwen/Qwen3-8B"),
        *("--host", "0.0.0.0"),
        *("--port", "8000"),
        *("--max-model-len", "16384"),
        *("--max-num-queued-reqs", "64"),
        *("--tensor-parallel-size", "1"),
        *("--load-format", "runai_streamer"),
        *("--model-loader-extra-config", '{"memory_limit": 3221225472}'),
        *("--shutdown-timeout", "100"),
        *("--sse-keep-alive-interval", "15"),
        *("--disable-access-log-for-endpoints", "/health,/metrics"),
        *("--tool-call-parser", "hermes"),
        *("--reasoning-parser", "qwen3"),
        *("--allowed-media-domains", "none.invalid"),
        "--enable-prompt-tokens-details",
        "--disable-fastapi-docs",
        "--no-enable-log-requests",
        "--enable-auto-tool-choice",
    ]


def test_the_engine_listens_where_the_network_lets_in() -> None:
    assert PORT == ENGINE_PORT


def test_media_may_be_loaded_from_the_named_hosts_and_from_no_others() -> None:
    model = Model(media_hosts=("images.example.com", "b.example"))
    arguments = vllm_arguments(Engine(model=model), model_path=PATH)
    first = arguments.index("--allowed-media-domains") + 1
    assert arguments[first : first + 2] == ["images.example.com", "b.example"]
    assert arguments[first + 2].startswith("--")
    assert not any(each.startswith("--allowed-local-media-path") for each in arguments)


def test_the_model_is_served_by_its_public_id() -> None:
    assert options_of(Engine(model=Model(id="a/b")))["--served-model-name"] == "a/b"


def test_a_model_without_tools_and_reasoning_has_no_parsers() -> None:
    arguments = vllm_arguments(Engine(model=Model(tool_parser=None, reasoning_parser=None)), model_path=PATH)
    assert not [each for each in arguments if "parser" in each or "tool" in each]


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_the_gpus_of_a_machine_share_the_model_and_the_buffer(gpus: int) -> None:
    engine = Engine(gpus=gpus, memory_gib=64)
    options = options_of(engine)
    assert options["--tensor-parallel-size"] == str(gpus)
    buffer = json.loads(options["--model-loader-extra-config"])["memory_limit"]
    assert buffer * gpus == 16 * 1024**3


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if stage.engine])
def test_every_stage_has_a_command_line(name: str) -> None:
    engine = STAGES[name].engine
    assert engine is not None
    assert vllm_arguments(engine, model_path=PATH)


def test_the_machines_of_an_engine_differ_by_rank() -> None:
    engine = Engine(machines=2, tasks=(1, 1))
    head, other = (
        vllm_arguments(engine, model_path=PATH, place=Place(rank=rank, head="engine.internal"))
        for rank in range(2)
    )
    differences = {(a, b) for a, b in zip(head, other, strict=False) if a != b}
    assert differences == {("0", "1")}
    assert other == [*[("1" if each == "0" else each) for each in head], "--headless"]
    options = dict(zip(head, [*head[1:], ""], strict=True))
    expected = {"--nnodes": "2", "--pipeline-parallel-size": "2", "--master-addr": "engine.internal"}
    assert {name: options[name] for name in expected} == expected
    assert head[head.index("--node-rank") + 1] == "0"


def test_one_machine_is_no_group() -> None:
    arguments = vllm_arguments(Engine(), model_path=PATH)
    assert not {"--nnodes", "--master-addr", "--headless", "--pipeline-parallel-size"} & set(arguments)
    assert "NCCL_SOCKET_IFNAME" not in variables(Engine())
    assert variables(Engine(machines=2))["NCCL_SOCKET_IFNAME"].startswith("^")


@pytest.mark.parametrize("secret", ["key", "token", "password"])
def test_no_secret_is_an_argument(secret: str) -> None:
    options = [each.partition("=")[0] for each in vllm_arguments(Engine(), model_path=PATH)]
    assert not [each for each in options if secret in each and each != "--enable-prompt-tokens-details"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"gpus": 3}, "engine.gpus: expected one of 1, 2, 4, 8, but got 3.", id="gpus"),
        pytest.param({"gpus": 0}, "engine.gpus: expected one of 1, 2, 4, 8, but got 0.", id="no-gpu"),
        pytest.param({"gpus": -1}, "but got -1", id="negative-gpus"),
        pytest.param({"queued": 0}, "engine.queued: expected at least 1, but got 0.", id="queue"),
        pytest.param({"queued": -5}, "engine.queued: expected at least 1, but got -5.", id="negative-queue"),
        pytest.param({"cpus": 0}, "engine.cpus: expected at least 1", id="cpus"),
        pytest.param({"memory_gib": 7}, "engine.memory_gib: expected at least 8, but got 7.", id="memory"),
        pytest.param({"idle_minutes": 0}, "engine.idle_minutes: expected at least 1", id="idle"),
        pytest.param({"machines": 0}, "engine.machines: expected at least 1", id="no-machine"),
        pytest.param({"held_streams": 0}, "engine.held_streams: expected at least 1", id="held"),
        pytest.param({"waiting_target": 0}, "engine.waiting_target: expected at least 1", id="target"),
        pytest.param({"start_s": 801}, "engine.start_s: expected at most 800, but got 801.", id="start"),
        pytest.param({"tasks": (2, 1)}, "engine.tasks: expected the minimum, then the maximum", id="tasks"),
        pytest.param({"tasks": (0, 0)}, "engine.tasks: expected the minimum, then the maximum", id="no-task"),
        pytest.param({"tasks": (0, 3)}, "engine.tasks: expected (0, 1)", id="several-from-zero"),
        pytest.param({"warm_pool": 2}, "engine.warm_pool: expected 0 or 1", id="pool"),
        pytest.param({"warm_pool": 1, "tasks": (1, 1)}, "engine.warm_pool: expected 0", id="pool-always"),
        pytest.param({"warm_pool": 1, "spot": True}, "engine.warm_pool: expected 0", id="pool-of-spot"),
        pytest.param(
            {"machines": 2},
            "engine.tasks: expected (1, 1), since one task on each of 2 machines makes the engine, but got "
            "(0, 1).",
            id="machines-from-zero",
        ),
        pytest.param(
            {"machines": 2, "tasks": (1, 1), "balancer": True},
            "engine.balancer: expected False",
            id="balancer",
        ),
        pytest.param(
            {"machines": 2, "tasks": (1, 1), "spot": True},
            "engine.spot: expected False",
            id="machines-of-spot",
        ),
        pytest.param(
            {"model": Model(weights_gib=20)},
            "engine.gpus: the weights (20 GiB) and vLLM's own needs do not fit into 1 × 22 GiB. "
            "Set more GPUs or larger ones: docs/scale.md.",
            id="weights",
        ),
        pytest.param(
            {"model": Model(context=4096)},
            "engine.model: expected 1 ≤ max_tokens_default ≤ max_tokens_limit ≤ context, "
            "but got 1024, 8192 and 4096.",
            id="context",
        ),
        pytest.param(
            {"model": Model(max_tokens_default=-1)}, "but got -1, 8192 and 16384", id="negative-tokens"
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(UnfitEngine) as caught:
        vllm_arguments(replace(Engine(), **changes), model_path=PATH)  # type: ignore[arg-type]
    assert expected in str(caught.value)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(UnfitEngine) as caught:
        vllm_arguments(Engine(gpus=5, queued=0), model_path=PATH)
    assert str(caught.value).count("\n") == 1
