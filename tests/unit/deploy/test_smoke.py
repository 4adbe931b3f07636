"""`make smoke`: what each step expects, with an API whose replies are scripted."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from infra.deploy.stacks import Stacks
from infra.smoke.__main__ import of_stage, of_url, run
from infra.smoke.checks import Checks, Places
from infra.smoke.client import Api, Reply
from infra.smoke.stage import Deployed
from infra.stages import SERVERLESS, ManagedInstances

PLACES = Places("the chat log", "the todo log", "the access log")
DONE = b"data: [DONE]\n\n"
EVENT = b'data: {"choices": [{"delta": {"content": "one"}}]}\n\n'


def reply(
    body: Any,
    status: int = 200,
    *,
    arrivals: tuple[float, ...] = (0.1,),
    took_s: float = 0.1,
    headers: dict[str, str] | None = None,
) -> Reply:
    parts = body if isinstance(body, tuple) else (json.dumps(body).encode(),)
    return Reply(status, headers or {}, parts, arrivals, took_s)


def error(status: int, code: str, retry_after: str = "") -> Reply:
    headers = {"retry-after": retry_after} if retry_after else {}
    return reply({"error": {"code": code, "message": "no"}}, status, headers=headers)


@dataclass(frozen=True)
class Scripted(Api):
    """An API with these replies by path, or by the query's first word; each is the only one, or the next."""

    replies: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def send(self, method: str, path: str, body: Any, *, timeout_s: float) -> Reply:  # noqa: ARG002
        self.sent.append((path, body))
        name = path
        if path == "graphql":
            name = next(word for word in ("createTodo", "deleteTodo", "todos") if word in body["query"])
        elif body and body.get("stream"):
            name = "stream"
        found = self.replies[name]
        made: Reply = found.pop(0) if isinstance(found, list) else found
        return made


def works() -> dict[str, Any]:
    """Return the replies of an API that works."""
    return {
        "health": reply({"status": "ok"}),
        "v1/models": reply({"data": [{"id": "qwen"}]}),
        "v1/chat/completions": reply({"choices": [{}], "model": "qwen"}, headers={"x-model": "gpt-oss"}),
        "stream": reply(
            (b": keep-alive\n\n", EVENT, EVENT, DONE), arrivals=(0.0, 1.0, 9.0, 10.0), took_s=10.0
        ),
        "createTodo": reply({"data": {"createTodo": {"id": "7", "title": "Smoke test"}}}),
        "todos": reply({"data": {"todos": [{"id": "7", "title": "Smoke test"}]}}),
        "deleteTodo": reply({"data": {"deleteTodo": {"id": "7"}}}),
    }


def smoke(changed: dict[str, Any] | None = None, **options: Any) -> tuple[list[str], str, Scripted]:
    """Run all steps with replies of which some are changed; return what failed, and what was printed."""
    api = Scripted("https://api/", "sk-secret", replies=works() | (changed or {}))
    out = io.StringIO()
    checks = Checks(api, PLACES, pause=lambda _s: None, **options)
    return run(checks, out), out.getvalue(), api


def test_all_of_it_works() -> None:
    failed, printed, api = smoke()
    assert failed == []
    assert "answered by gpt-oss" in printed
    assert "first chunk after 1.00 s, at 10% of the time" in printed
    assert [body["query"] for path, body in api.sent if path == "graphql"][-1].startswith("mutation")
    assert "look at" not in printed


# what is wrong → the step that fails, what is printed
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"health": reply({"status": "no"})}, "health", 'expected the status "ok"'),
    ({"v1/models": error(401, "invalid_api_key")}, "models", "expected models, but got 401"),
    ({"v1/chat/completions": error(502, "engine_error")}, "a completion", "expected 200, but got 502"),
    ({"v1/chat/completions": error(503, "model_warming")}, "a completion", "model_warming"),
    ({"v1/chat/completions": reply((b"<html>",))}, "a completion", "expected JSON"),
    (
        {"stream": reply((EVENT + DONE,), arrivals=(9.9,), took_s=10.0)},
        "a stream",
        "the first chunk early, but it came at 99% of 10.00 s",
    ),
    ({"stream": reply((EVENT,))}, "a stream", "expected the end data: [DONE]"),
    ({"stream": reply((b": keep-alive\n\n: ok\n\ndata: [DONE]",))}, "a stream", "at 100%"),
    ({"createTodo": error(503, "database")}, "a todo", "expected 200, but got 503"),
    ({"todos": reply({"data": {"todos": []}})}, "a todo", "expected the new todo in the list"),
    ({"deleteTodo": reply({"data": None, "errors": [{}]})}, "a todo", "expected data without errors"),
]


@pytest.mark.parametrize(("changed", "step", "said"), WRONG)
def test_a_step_that_fails_says_what_it_expected_and_where_to_look(
    changed: dict[str, Any], step: str, said: str
) -> None:
    failed, printed, _ = smoke(changed)
    assert failed == [step]
    assert said in printed
    assert "look at: docs/operations.md#" in printed
    assert ("the todo log" if step == "a todo" else "the chat log") in printed


def test_a_todo_that_is_not_listed_is_deleted_all_the_same() -> None:
    _, _, api = smoke({"todos": reply({"data": {"todos": []}})})
    assert "deleteTodo" in [body["query"] for path, body in api.sent if path == "graphql"][-1]


def test_an_engine_that_starts_is_no_failure_where_nothing_answers_for_it() -> None:
    failed, printed, _ = smoke(
        {"v1/chat/completions": error(503, "model_warming", retry_after="60")}, may_start=True
    )
    assert failed == []
    assert "the engine starts, as it should: 503, model_warming, retry-after 60 s" in printed
    assert "left out: the engine starts" in printed


def test_a_database_that_resumes_is_waited_for() -> None:
    resumed = [error(503, "database", retry_after="10"), works()["createTodo"]]
    assert smoke({"createTodo": resumed})[0] == []
    never = error(503, "database", retry_after="45")
    failed, _, api = smoke({"createTodo": never})
    assert failed == ["a todo"]
    assert sum("createTodo" in str(body) for _, body in api.sent) == 2


def test_a_local_aws_is_not_judged_by_its_streams() -> None:
    collected = reply((EVENT + DONE,), arrivals=(9.9,), took_s=10.0)
    failed, printed, _ = smoke({"stream": collected}, collects=True)
    assert failed == []
    assert "not judged" in printed


def test_the_functions_own_addresses_are_called_where_there_are_some() -> None:
    other = Scripted("https://url/", replies=works())
    failed, _, api = smoke(url_api=other, url_todos=other)
    assert failed == []
    assert [path for path, _ in other.sent] == ["v1/chat/completions", "graphql"]
    assert len(api.sent) == 7


def test_of_a_stage_the_function_that_answers_is_looked_at_and_the_one_on_demand_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = {f"{name}Url": f"https://{name}/" for name in ("Api", "Chat", "Todos", "OnDemandChat")}
    for settings, log, on_demand in (
        (ManagedInstances(), "ManagedChatFunctionLog", "https://OnDemandChat/"),
        (None, "ChatFunctionLog", None),
    ):
        stage = replace(SERVERLESS, managed_instances=settings)
        shown = outputs if settings else {name: outputs[name] for name in ("ApiUrl", "ChatUrl", "TodosUrl")}
        found = Deployed(stage, Stacks("ChatbotServerless", NoStacks()), shown, "eu-west-1", None)
        monkeypatch.setattr("infra.smoke.__main__.find", lambda *_, found=found: found)
        with of_stage(stage, {"KEY": "sk-a"}) as checks:
            assert f"<log group {log} of ChatbotServerlessApi>" in checks.places.chat
            assert (checks.on_demand.url if checks.on_demand else None) == on_demand
            titles = [each.title for each in checks.all()]
            assert ("a stream, on demand" in titles) is (settings is not None)


class NoStacks:
    """CloudFormation that knows no resources."""

    def get_paginator(self, _: str) -> NoStacks:
        return self

    def paginate(self, **_: str) -> list[dict[str, list[Any]]]:
        return [{"StackResourceSummaries": []}]


def test_no_key_is_printed() -> None:
    _, printed, _ = smoke({"health": reply({"status": "the key was sk-secret"})})
    assert "sk-secret" not in printed


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://localhost:8000/", "http://localhost:8000/v1"]
)
def test_an_address_may_be_written_as_clients_want_it(url: str) -> None:
    with of_url(url, {}) as checks:
        assert checks.api.url == "http://localhost:8000/"
