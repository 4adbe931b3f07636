"""The clients of `docs/clients.md`, as their users have them, against the service with a scripted engine."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.paths import ROOT
from tests.e2e.clients import document
from tests.e2e.clients.engine import CITY, ENGINE, FAILURES, STREAM_FAILURES, WEATHER
from tests.e2e.clients.table import CHAT, CLIENTS, RESPONSES, SCENARIOS, Client
from tests.e2e.custom_gateway import custom_gateway
from tests.e2e.program import Outcome, run_program
from tests.engines.faults.script import TEXT
from tests.engines.scripted import ScriptedEngine, scripted_engine

KEY, WRONG_KEY, WRONG_MODEL = "sk-right", "sk-wrong", "missing"
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
        return {"function": self.function, "arguments": arguments, "key": self.key}


@dataclass(frozen=True)
class Here:
    """The service with its engine, and the lines of its request log."""

    engine: ScriptedEngine
    url: str
    log: io.StringIO


@dataclass(frozen=True)
class Seen:
    """What a client's user saw, and what the engine and the log had of it."""

    outcomes: dict[Case, Outcome]
    results: list[Any] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def here(_here: None) -> Iterator[Here]:
    keys, log = json.dumps({hashlib.sha256(KEY.encode()).hexdigest(): []}), io.StringIO()
    with scripted_engine(ENGINE) as engine:
        models = {name: {"base_url": engine.base_url} for name in MODELS}
        with custom_gateway(models, log, API_KEYS=keys) as url:
            yield Here(engine, url, log)


def _param(client: Client) -> object:
    """One client is enough for `make test`."""
    return pytest.param(client, id=client.name, marks=[] if client is CLIENTS[0] else pytest.mark.slow)


@pytest.fixture(scope="module", params=map(_param, CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    if not (ROOT / chosen.packages).exists():
        pytest.skip("not set up here: `make test-clients` does")
    if chosen.endpoint == RESPONSES and not (ROOT / "functions/chat/api/responses.py").exists():
        pytest.skip("not served yet")
    return chosen


@pytest.fixture(scope="module")
def seen(client: Client, here: Here) -> Seen:
    """Run the client's program once, for what works and for what fails."""
    here.engine.received_requests.clear()
    before = here.log.tell()
    cases = [*(Case(name, name) for name in client.scenarios), *failing(client)]
    job = {"url": f"{here.url}/v1", "cases": [case.job for case in cases]}
    outcomes = run_program(client.command, job, packages=client.packages)
    assert outcomes.version == document.version(client)
    results = [
        request.fields["messages"][-1]["content"]
        for request in here.engine.requests
        if request.fields["model"] == "tools" and request.fields["messages"][-1]["role"] == "tool"
    ]
    lines = here.log.getvalue()[before:].splitlines()
    paths = {line.split()[2] for line in lines}
    return Seen({case: outcomes.by_place[place] for place, case in enumerate(cases)}, results, paths)


def failing(client: Client) -> Iterator[Case]:
    """Yield the cases that must fail."""
    for function, failures in (("chat", FAILURES), ("stream", {**FAILURES, **STREAM_FAILURES})):
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
        return "".join(returned).strip() == TEXT and len([piece for piece in returned if piece.strip()]) == 3
    return bool(returned == {"structured": CITY}.get(case.function, TEXT))


@pytest.mark.timeout(240)
def test_what_the_document_says_works(client: Client, seen: Seen) -> None:
    works = {name: seen.outcomes[Case(name, name)] for name in client.scenarios}
    wrong = {
        name: outcome
        for name, outcome in works.items()
        if "returned" not in outcome or not right(Case(name, name), outcome["returned"])
    }
    assert not wrong


def test_a_tool_is_run_and_its_result_sent(client: Client, seen: Seen) -> None:
    if "tools" in client.scenarios:
        assert len(seen.results) == 1
        assert WEATHER in json.dumps(seen.results)


def test_a_failure_is_raised(client: Client, seen: Seen) -> None:
    outcomes = {str(case): outcome for case, outcome in seen.outcomes.items() if case in {*failing(client)}}
    assert not {name: outcome for name, outcome in outcomes.items() if "raised" not in outcome}, "silent"
    crashes = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome["module"] in CRASHES and outcome["raised"] not in client.raises
    }
    assert not crashes


def test_it_calls_the_endpoint_of_the_document(client: Client, seen: Seen) -> None:
    assert seen.paths & {CHAT, RESPONSES} == {client.endpoint}
