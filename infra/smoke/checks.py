"""What the smoke test calls, in this order, and what it expects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.smoke.client import Api, Failed, Reply

# A function that starts, or a database that resumes, answers within this.
REPLY_S = 60.0
COMPLETION_S = 120.0
# 503 and 429 say when to try again: a database that resumes, a function that is throttled.
_RETRY_WITHIN_S = 60.0
_RETRY_AFTER_S = 5.0
# Of the time until the end: a reply that was collected on its way arrives at its end.
EARLY = 0.75
_MAX_TOKENS = 128
_QUESTION = "Count from 1 to 60 in words, separated by commas."
_TITLE = "Smoke test"
_CREATE = "mutation ($title: String!) { createTodo(title: $title) { id title } }"
_DELETE = "mutation ($id: ID!) { deleteTodo(id: $id) { id } }"
_LIST = "{ todos { id title } }"


@dataclass(frozen=True)
class Check:
    """One step.

    Shape:  `run` returns what it saw, in a few words. `look_at`: what to look at where it fails: the
            commands of logs, or a heading of docs/operations.md.
    """

    title: str
    run: Callable[[], str]
    look_at: Sequence[str]


@dataclass(frozen=True)
class Places:
    """What to look at where a step fails: the logs of both functions, and of API Gateway."""

    chat: str
    todos: str
    gateway: str


@dataclass
class Checks:
    """The steps, for a model of the API's list.

    Shape:  `url_api`, `url_todos`: the functions' own addresses; None where there are none, as in `make run`.
            `on_demand`: that of the chat function beside one on managed instances; None: there is none.
            `may_start`: the engine may be scaled to zero, with no fallback for it: then a refusal that
            says so is as it should be. `collects`: a local AWS serves the address, and collects streams.
    """

    api: Api
    places: Places
    url_api: Api | None = None
    url_todos: Api | None = None
    on_demand: Api | None = None
    todos: bool = True
    may_start: bool = False
    collects: bool = False
    pause: Callable[[float], None] = time.sleep
    model: str = "default"
    _starting: bool = field(default=False, init=False)

    def all(self) -> Iterator[Check]:
        """Yield the steps, the cheapest first."""
        functions = ("docs/operations.md#a-function-fails", self.places.chat, self.places.gateway)
        engine = ("docs/operations.md#no-engine", self.places.chat)
        database = ("docs/operations.md#a-function-fails", self.places.todos)
        yield Check("health", self.health, functions)
        yield Check("models", self.models, functions)
        yield Check("a completion", self.completion, engine)
        yield Check("a stream", lambda: self.stream(self.api), engine)
        if self.url_api:
            url_api = self.url_api
            yield Check("a stream, Function URL", lambda: self.stream(url_api), engine)
        if self.on_demand:
            on_demand = self.on_demand
            yield Check("a stream, on demand", lambda: self.stream(on_demand), engine)
        if self.todos:
            yield Check("a todo", self.todo, database)
        if self.url_todos:
            url_todos = self.url_todos
            yield Check("todos, Function URL", lambda: self.list_todos(url_todos), database)

    def health(self) -> str:
        """Check that the chat function answers at all."""
        reply = self._again(lambda: self.api.get("health", timeout_s=REPLY_S))
        if reply.json().get("status") != "ok":
            raise Failed(f'expected the status "ok", but got {reply.shown()}')
        return ""

    def models(self) -> str:
        """Check that the key is accepted and that there are models."""
        reply = self._again(lambda: self.api.get("v1/models", timeout_s=REPLY_S))
        names = [str(model.get("id")) for model in reply.json().get("data", ())]
        if not names:
            raise Failed(f"expected models, but got {reply.shown()}")
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def completion(self) -> str:
        """Check that a model answers; say which."""
        body = self._question() | {"max_tokens": 32}
        reply = self._again(lambda: self.api.post("v1/chat/completions", body, timeout_s=COMPLETION_S))
        if self.may_start and reply.status == 503 and _code(reply) == "model_warming":
            self._starting = True
            after = reply.headers.get("retry-after", "?")
            return f"the engine starts, as it should: 503, model_warming, retry-after {after} s"
        _expect(reply, 200)
        if not reply.json().get("choices"):
            raise Failed(f"expected choices, but got {reply.shown()}")
        return f"answered by {reply.headers.get('x-model', reply.json().get('model'))}"

    def stream(self, api: Api) -> str:
        """Check that a stream arrives as it is generated, and ends as it should."""
        if self._starting:
            return "left out: the engine starts; run it again in some minutes"
        body = self._question() | {"stream": True}
        reply = self._again(lambda: api.post("v1/chat/completions", body, timeout_s=COMPLETION_S))
        _expect(reply, 200)
        if not reply.body.rstrip().endswith(b"data: [DONE]"):
            raise Failed(
                f"expected the end data: [DONE], but got …{reply.body[-200:].decode(errors='replace')}"
            )
        first_s = _first_event_s(reply)
        share = first_s / reply.took_s if reply.took_s else 1.0
        seen = f"first chunk after {first_s:.2f} s, at {share:.0%} of the time"
        if self.collects:
            return f"{seen}; not judged: a local AWS collects streams"
        if share > EARLY:
            raise Failed(
                f"expected the first chunk early, but it came at {share:.0%} of {reply.took_s:.2f} s: the "
                "stream was collected on its way"
            )
        return seen

    def todo(self) -> str:
        """Create a todo, find it in the list, and delete it."""
        made = self._query(self.api, _CREATE, {"title": _TITLE})["createTodo"]
        try:
            listed = self._query(self.api, _LIST)["todos"]
            if made["id"] not in [each["id"] for each in listed]:
                raise Failed(f"expected the new todo in the list, but got {len(listed)} others")
        finally:
            self._query(self.api, _DELETE, {"id": made["id"]})
        return "created, listed, deleted"

    def list_todos(self, api: Api) -> str:
        """List the todos by the todo function's own address."""
        return f"{len(self._query(api, _LIST)['todos'])} todos"

    def _question(self) -> dict[str, Any]:
        messages = [{"role": "user", "content": _QUESTION}]
        return {"model": self.model, "messages": messages, "max_tokens": _MAX_TOKENS}

    def _query(self, api: Api, query: str, variables: dict[str, Any] | None = None) -> Any:
        body = {"query": query, "variables": variables or {}}
        reply = self._again(lambda: api.post("graphql", body, timeout_s=REPLY_S))
        _expect(reply, 200)
        data = reply.json().get("data")
        if not data or reply.json().get("errors"):
            raise Failed(f"expected data without errors, but got {reply.shown()}")
        return data

    def _again(self, send: Callable[[], Reply]) -> Reply:
        """Send a request, again for a while where a reply says to come back."""
        waited_s = 0.0
        while True:
            reply = send()
            if reply.status not in (429, 503) or _code(reply) == "model_warming":
                return reply
            after = reply.headers.get("retry-after", "")
            wait_s = float(after) if after.isdigit() else _RETRY_AFTER_S
            if waited_s + wait_s > _RETRY_WITHIN_S:
                return reply
            self.pause(wait_s)
            waited_s += wait_s


def _expect(reply: Reply, status: int) -> None:
    if reply.status != status:
        raise Failed(f"expected {status}, but got {reply.shown()}")


def _code(reply: Reply) -> str:
    """Return the code of an error, "" where there is none."""
    try:
        error = reply.json().get("error")
    except (Failed, AttributeError):
        return ""
    return str(error.get("code")) if isinstance(error, dict) else ""


def _first_event_s(reply: Reply) -> float:
    """Return when the first event with data had arrived; comments before it only hold the connection."""
    seen = b""
    for at_s, part in zip(reply.arrivals, reply.parts, strict=True):
        seen += part
        if seen.startswith(b"data:") or b"\ndata:" in seen:
            return at_s
    raise Failed(f"expected events, but got {reply.shown()}")
