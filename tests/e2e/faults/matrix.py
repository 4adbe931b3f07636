"""The fault matrix: every fault of `tests/engines/faults` through the local gateway, with every client.

Each client is a process of its own that runs all faults: a streamed request, one for a whole reply, the
client's helper for streams where it has one, and a conversation that goes on after good replies. What the
client's user saw is compared with what is right, what the engine got of the conversation with what it may
get, and how often it ran a request with what the client's own retries allow.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from queue import SimpleQueue
from typing import Any

from tests.e2e.custom_gateway import custom_gateway
from tests.e2e.program import Outcome, run_program
from tests.engines.faults.script import SECRET, Bad, Fault, Good
from tests.engines.faults.table import ENGINE, FAULTS
from tests.engines.scripted import ScriptedEngine, refusing_engine, scripted_engine
from tests.engines.wire import Request

# The requests of each mode: how many for streams, and how many for whole replies.
REQUESTS = {"stream": (1, 0), "whole": (0, 1), "helper": (1, 0), "history": (1, 2)}
SDK, FRAMEWORK = ("stream", "whole", "helper", "history"), ("stream", "whole", "history")
# Short enough that an engine that hangs costs little, and long enough for one that is slow.
VARIABLES = {"STREAM_SILENCE_S": "3", "REPLY_TIMEOUT_S": "3", "KEEP_ALIVE_S": "1"}
RETRIED = {408, 409, 429}
SAYING = {"tool_calls", "reasoning", "reasoning_content"}
MESSAGE_MEMBERS = {"role", "content", "tool_call_id", *SAYING}
MAX_HISTORY = 100_000
AGAIN = 3  # a request and its client's own two retries


@dataclass(frozen=True)
class Client:
    """A client: its modes, whether it takes any field, whether it retries and obeys `x-should-retry`."""

    name: str
    script: str
    library: str = ""
    modes: Sequence[str] = FRAMEWORK
    takes_fields: bool = False
    retries: bool = True
    obeys: bool = True

    def runs(self, right: Good | Bad, mode: str) -> int:
        """Return how often the engine may get a request that is answered as is right."""
        if isinstance(right, Good):
            return 1
        may_repeat = right.again or (not self.obeys and (right.status >= 500 or right.status in RETRIED))
        repeats = self.retries and may_repeat and (mode == "whole" or not right.within)
        return right.tries * (AGAIN if repeats else 1)


CLIENTS = (
    Client("http", "raw_http.py", modes=("stream", "whole"), takes_fields=True, retries=False),
    Client("openai-3", "openai_python.py", modes=SDK, takes_fields=True),
    Client("openai-2", "openai_python.py", ".local/openai-2", modes=SDK, takes_fields=True),
    Client("openai-node", "openai_node.mjs", modes=SDK, takes_fields=True),
    Client("langchain", "langchain_chat.py", ".local/clients"),
    Client("pydantic-ai", "pydantic_model.py", ".local/clients"),
    Client("ai-sdk", "ai_sdk.mjs", obeys=False),
    Client("responses-http", "responses_http", modes=("stream", "whole"), retries=False),
    Client("responses-openai-3", "openai_responses", modes=SDK),
    Client("responses-openai-2", "openai_responses", ".local/openai-2", modes=SDK),
    Client("responses-node", "openai_node_responses.mjs", modes=("stream", "whole", "helper")),
)


@dataclass(frozen=True)
class Case:
    """One request of one client."""

    fault: str
    mode: str


@dataclass
class Results:
    """What went wrong with one client, by case: "" is right."""

    client: Client
    version: str = ""
    took_s: float = 0.0
    wrong: dict[Case, str] = field(default_factory=dict)

    def of(self, fault: str) -> dict[str, str]:
        """Return what went wrong with a fault, by mode."""
        return {case.mode: text for case, text in self.wrong.items() if case.fault == fault}


@dataclass(frozen=True)
class Matrix:
    """A gateway in front of an engine that has every fault."""

    engine: ScriptedEngine
    url: str

    def run(self, client: Client, faults: Sequence[str], seen: Callable[[], None] = lambda: None) -> Results:
        """Run a client against the faults; `seen` is called after each case."""
        results, cases, began_s = Results(client), cases_of(client, faults), time.monotonic()
        self.engine.received_requests.clear()
        requested = [
            {"fields": {"model": case.fault, **FAULTS[case.fault].fields}, "mode": case.mode}
            for case in cases
        ]
        job = {"url": f"{self.url}/v1", "key": "your_api_key_here", "cases": requested}
        outcomes = run_program([f"faults/clients/{client.script}"], job, packages=client.library, seen=seen)
        results.version = outcomes.version
        for place, case in enumerate(cases):
            results.wrong[case] = self._judge(client, case, outcomes.by_place.get(place))
        results.took_s = time.monotonic() - began_s
        return results

    def _judge(self, client: Client, case: Case, outcome: Outcome | None) -> str:
        right = FAULTS[case.fault].right
        if outcome is None:
            return "no outcome"
        wrong = wrong_with(right, case.mode, outcome)
        requests = [each for each in self.engine.requests if each.fields.get("model") == case.fault]
        if wrong or case.mode == "helper":
            return wrong
        if case.mode == "history":
            return next(filter(None, map(wrong_history, requests)), "")
        streams = case.mode == "stream"
        runs = sum(bool(each.fields.get("stream")) == streams for each in requests)
        cases = cases_of(client, [case.fault])
        sent = sum(REQUESTS[each.mode][0 if streams else 1] for each in cases)
        most = client.runs(right, case.mode) * sent
        return "" if runs <= most else f"{runs} runs at the engine, at most {most} expected"


@contextmanager
def matrix() -> Iterator[Matrix]:
    """Open the gateway and the engine."""
    with scripted_engine(ENGINE) as engine, refusing_engine() as refused:
        models = {name: {"base_url": refused if name == "refused" else engine.base_url} for name in FAULTS}
        with custom_gateway(models, **VARIABLES) as url:
            yield Matrix(engine, url)


@contextmanager
def running(
    faults: Mapping[Client, Sequence[str]], seen: Callable[[], None] = lambda: None
) -> Iterator[Mapping[Client, "Future[Results]"]]:
    """Run each client against its faults, two at a time, each with a gateway and an engine of its own."""
    free = SimpleQueue[Matrix]()

    def run(client: Client) -> Results:
        here = free.get()
        try:
            return here.run(client, faults[client], seen)
        finally:
            free.put(here)

    with matrix() as one, matrix() as other, ThreadPoolExecutor(2) as threads:
        free.put(one)
        free.put(other)
        try:
            # First the client that waits the longest: it repeats what it should not.
            ordered = sorted(faults, key=lambda client: client.obeys)
            yield {client: threads.submit(run, client) for client in ordered}
        finally:
            threads.shutdown(cancel_futures=True)


def cases_of(client: Client, faults: Sequence[str]) -> list[Case]:
    """Return the requests that a client makes."""

    def applies(fault: Fault, mode: str) -> bool:
        if mode == "history":
            return has_history(fault)
        behaviour = fault.whole if mode == "whole" else fault.stream
        # The helper of openai 2 is not given the tools.
        fits = client.takes_fields and not (mode == "helper" and "tool_choice" in fault.fields)
        return behaviour is not None and (fits or not fault.fields)

    return [Case(name, mode) for name in faults for mode in client.modes if applies(FAULTS[name], mode)]


def has_history(fault: Fault) -> bool:
    """Return whether both replies are good, and small enough for a request."""
    good = isinstance(fault.right, Good) and len(fault.right.text) < MAX_HISTORY
    return good and not fault.fields and None not in (fault.stream, fault.whole)


def wrong_history(request: Request) -> str:
    """Return what is wrong with the messages that the engine got, in a few words."""
    calls: list[str] = []
    for message in request.fields["messages"]:
        nulls = {name for name, value in message.items() if value is None and name != "content"}
        if odd := nulls | (message.keys() - MESSAGE_MEMBERS):
            return f"history: members of a message {sorted(odd)}"
        if message.get("content") is None and not message.keys() & SAYING:
            return f"history: a message that says nothing {message}"
        calls += [call["id"] for call in message.get("tool_calls", ())]
        texts = [call["function"]["arguments"] for call in message.get("tool_calls", ())]
        if not all(isinstance(json.loads(text), dict) for text in texts):
            return f"history: arguments {texts}"
        if message["role"] == "tool" and message["tool_call_id"] not in calls:
            return f"history: a result of no call in {calls}"
    return ""


def wrong_with(right: Good | Bad, mode: str, outcome: Outcome) -> str:
    """Return what is wrong with an outcome, in a few words; "" if nothing is."""
    if SECRET in json.dumps(outcome):
        return "the engine's own words"
    if "raised" in outcome:
        if not outcome["own"]:
            kind = "contract" if outcome["raised"] == "AssertionError" else f"crash: {outcome['raised']}"
            return f"{kind}: {outcome['message']}"
        if isinstance(right, Good):
            status = outcome["status"] or outcome["raised"]
            return f"refused: {status} {outcome['code']}: {outcome['message']}"
        return _wrong_error(right, mode, outcome)
    if isinstance(right, Bad):
        return f"silent success: {str(outcome['choices'])[:100]}"
    if right.usage and outcome["usage"] != list(right.usage):
        return f"usage {outcome['usage']}, but {list(right.usage)} expected"
    pairs = zip_longest((right, *right.others), outcome["choices"])
    return next((wrong for pair in pairs if (wrong := _wrong_choice(*pair))), "")


def _wrong_error(right: Bad, mode: str, outcome: Outcome) -> str:
    within = right.within and mode != "whole"
    if not within and outcome["status"] != right.status:
        return f"status {outcome['status']}, but {right.status} expected: {outcome['message']}"
    if outcome["code"] != right.code:
        return f"code {outcome['code']}, but {right.code} expected: {outcome['message']}"
    return ""


def _wrong_choice(right: Good | None, choice: Outcome | None) -> str:
    if right is None or choice is None:
        return "a choice too many" if choice else "a choice is missing"
    expected = {
        "text": right.text,
        "reasoning": right.reasoning,
        "calls": [list(each) for each in right.calls],
        "finish": right.finish,
    }
    # A list with a hole in it is what JavaScript makes of calls whose indices do not begin at 0.
    shown = {**choice, "calls": [[call[0], _parsed(call[1])] if call else call for call in choice["calls"]]}
    return next(
        (
            f"{name} {str(shown[name])[:60]!r}, but {str(value)[:60]!r} expected"
            for name, value in expected.items()
            if name in shown and shown[name] != value
        ),
        "",
    )


def _parsed(arguments: Any) -> Any:
    """Return a call's arguments; where they came as text, empty text means none."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
