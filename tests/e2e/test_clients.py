"""The clients of `docs/clients.md`, as their users have them, against the service with a scripted engine."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from typing import Any

import pytest

from infra.paths import ROOT
from tests.e2e.clients import document
from tests.e2e.clients.engine import (
    AGENT,
    CITY,
    ENGINE,
    FAILURES,
    STREAM_FAILURES,
    VECTORS,
    WEATHER,
    WRONG_MODEL,
)
from tests.e2e.clients.table import CHAT, CLIENTS, RESPONSES, SCENARIOS, Client
from tests.e2e.custom_gateway import custom_gateway
from tests.e2e.program import Outcome, run_program
from tests.engines.faults.script import TEXT
from tests.engines.scripted import ScriptedEngine, scripted_engine

KEY, WRONG_KEY = "sk-right", "sk-wrong"
# What no client documents of itself: the program has met what its author did not expect.
CRASHES = {"builtins", "json", "asyncio", ""}
MODELS = [*SCENARIOS, *FAILURES, *STREAM_FAILURES]


@dataclass(frozen=True)
class Case:
    """A function of a program, the model that it is called with, and the key."""

    function: str
    model: str
    key: str = KEY

    def __str__(self) -> str:
        return f"{self.function} of the model {self.model}, key {self.key}"

    @property
    def job(self) -> dict[str, Any]:
        arguments = [] if self.function == "models" else [self.model]
        return {"function": self.function, "arguments": arguments}


@dataclass(frozen=True)
class Seen:
    """What a client's user saw, and what the engine and the log had of it."""

    outcomes: dict[Case, Outcome]
    results: list[Any] = field(default_factory=list)
    turns: list[Any] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    streamed: list[Any] = field(default_factory=list)


@pytest.fixture(scope="module")
def engine(_here: None) -> Iterator[ScriptedEngine]:
    with scripted_engine(ENGINE) as engine:
        yield engine


def _param(client: Client) -> object:
    """Those whose packages it installs anyway are enough for `make test`, and for `make test-all`."""
    in_every_run = client.lock == "requirements/test.txt"
    return pytest.param(client, id=client.name, marks=[] if in_every_run else pytest.mark.nightly)


@pytest.fixture(scope="module", params=map(_param, CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    if not (ROOT / chosen.packages).exists():
        pytest.skip("not set up here: `make test-clients` does")
    return chosen


@pytest.fixture(scope="module")
def seen(client: Client, engine: ScriptedEngine) -> Seen:
    """Run the client's program once, for what works and for what fails."""
    engine.received_requests.clear()
    cases = [*(Case(name, name) for name in client.scenarios), *failing(client)]
    models = {
        name: {
            "base_url": engine.base_url,
            "serves": [name if name in ("completions", "embeddings") else "chat"],
        }
        for name in MODELS
    }
    keys, log = json.dumps({hashlib.sha256(KEY.encode()).hexdigest(): []}), io.StringIO()
    with custom_gateway(models, log, API_KEYS=keys) as url, ThreadPoolExecutor() as threads:
        outcomes = dict(chain(*threads.map(partial(run, client, url), (KEY, WRONG_KEY), repeat(cases))))
    sent = [(each.fields["model"], each.fields.get("messages", [])) for each in engine.requests]
    results = [
        [message["content"] for message in messages if message["role"] == "tool"]
        for model, messages in sent
        if model == "tools" and messages[-1]["role"] == "tool"
    ]
    turns = [messages for model, messages in sent if model == "turns"]
    paths = {line.split()[2] for line in log.getvalue().splitlines()}
    streamed = [each.fields.get("stream") for each in engine.requests if each.fields["model"] == "stream"]
    return Seen(outcomes, results, turns[-1] if turns else [], paths, streamed)


def run(client: Client, url: str, key: str, cases: Sequence[Case]) -> Iterator[tuple[Case, Outcome]]:
    """Run the cases of one key in a process of their own."""
    chosen = [case for case in cases if case.key == key]
    job = {"url": f"{url}/v1", "key": key, "cases": [case.job for case in chosen]}
    outcomes = run_program(client.command, job, packages=client.packages)
    assert outcomes.version == document.version(client)
    return zip(chosen, (outcomes.by_place[place] for place in range(len(chosen))), strict=True)


def failing(client: Client) -> Iterator[Case]:
    """Yield the cases that must fail."""
    every = {**FAILURES, **STREAM_FAILURES}
    for function, failures in (
        ("chat", FAILURES if "stream" in client.scenarios else every),
        ("stream", every),
    ):
        # A client that cannot chat returns objects.
        name = function if "chat" in client.scenarios else "structured"
        if name in client.scenarios:
            yield from (Case(name, model) for model in [*failures, WRONG_MODEL])
            yield Case(name, name, WRONG_KEY)


def right(case: Case, returned: Any) -> bool:
    """Return whether a function returned what it must."""
    if case.function == "models":
        return set(MODELS) == set(returned)
    if case.function == "stream":
        return "".join(returned).strip() == TEXT and len(list(filter(None, returned))) >= 3
    return bool(returned == {"structured": CITY, "embeddings": VECTORS}.get(case.function, TEXT))


@pytest.mark.timeout(240)
def test_what_the_document_says_works(client: Client, seen: Seen) -> None:
    works = {name: seen.outcomes[Case(name, name)] for name in client.scenarios}
    wrong = {
        name: outcome
        for name, outcome in works.items()
        if "returned" not in outcome or not right(Case(name, name), outcome["returned"])
    }
    assert not wrong


def test_a_stream_is_one_at_the_engine_too(client: Client, seen: Seen) -> None:
    """A client can cut up a whole reply as well."""
    if "stream" in client.scenarios:
        assert seen.streamed == [True]


def test_a_tool_is_run_and_its_result_sent(client: Client, seen: Seen) -> None:
    if "tools" in client.scenarios:
        assert len(seen.results) == 1
        assert WEATHER in json.dumps(seen.results)


def test_a_tool_of_a_namespace_is_run(client: Client, seen: Seen) -> None:
    if client.package == "@openai/codex":
        assert f"invalid agent id {AGENT}" in json.dumps(seen.results)


def test_earlier_turns_are_sent(client: Client, seen: Seen) -> None:
    if "turns" in client.scenarios:
        assert TEXT in json.dumps([each for each in seen.turns if each["role"] == "assistant"])


def test_a_failure_is_raised(client: Client, seen: Seen) -> None:
    outcomes = {str(case): outcome for case, outcome in seen.outcomes.items() if case in {*failing(client)}}
    assert not {name: outcome for name, outcome in outcomes.items() if "raised" not in outcome}, "silent"
    crashes = {name: outcome for name, outcome in outcomes.items() if outcome["module"] in CRASHES}
    assert not crashes


def test_its_user_reads_what_failed(client: Client, seen: Seen) -> None:
    outcomes = {case: seen.outcomes[case] for case in failing(client) if case.model != "killed"}
    wrong = {
        str(case): outcome
        for case, outcome in outcomes.items()
        # Inspect's error for several tries names the last one's class alone.
        if outcome["raised"] != "RetryError" and reason(case) not in outcome["message"]
    }
    assert not wrong


def reason(case: Case) -> str:
    """Return what is in the service's error, whatever a client puts around it."""
    if case.key == WRONG_KEY:
        return "Incorrect API key"
    return "does not exist" if case.model == WRONG_MODEL else "engine"


def test_it_calls_the_endpoint_of_the_document(client: Client, seen: Seen) -> None:
    assert seen.paths & {CHAT, RESPONSES} == {client.endpoint}
