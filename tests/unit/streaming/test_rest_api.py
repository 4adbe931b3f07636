"""What API Gateway puts before a path is read from the path; callers have no part in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from lambda_stream._requests import http_request, split_path

EVENTS = Path(__file__).parents[2] / "events"


def event(path: str, visible: str | None, *, resource: str = "/{proxy+}", **parameters: str) -> Any:
    context = {"stage": "dev", **({} if visible is None else {"path": visible})}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": "GET",
        "headers": {"host": "a1b2c3.execute-api.eu-central-1.amazonaws.com"},
        "pathParameters": parameters or None,
        "requestContext": context,
        "body": None,
    }


def golden(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def scope_of(event: Any) -> Any:
    request = http_request(event, None)
    assert request is not None
    return request.scope


@pytest.mark.parametrize(
    ("event", "prefix", "path"),
    [
        pytest.param(event("/docs", "/dev/docs", proxy="docs"), "/dev", "/docs", id="a stage"),
        pytest.param(event("/dev/x", "/dev/dev/x", proxy="dev/x"), "/dev", "/dev/x", id="a stage, twice"),
        pytest.param(event("/a/", "/dev/a/", proxy="a"), "/dev", "/a/", id="a slash at the end"),
        pytest.param(event("/a/", "/dev/a", proxy="a"), "/dev", "/a/", id="a slash of one path alone"),
        pytest.param(event("/a%20b", "/dev/a%20b", proxy="a b"), "/dev", "/a%20b", id="a stage, encoded"),
        pytest.param(event("/", "/dev/", resource="/"), "/dev", "/", id="a stage's root"),
        pytest.param(event("/", "/dev", resource="/"), "/dev", "/", id="a stage's root without a slash"),
        pytest.param(event("/docs", "/docs", proxy="docs"), "", "/docs", id="a domain"),
        pytest.param(
            event("/dev/docs", "/dev/docs", proxy="dev/docs"), "", "/dev/docs", id="a domain, feigned"
        ),
        pytest.param(event("/", "/", resource="/"), "", "/", id="a domain's root"),
        pytest.param(event("/ai/docs", "/ai/docs", proxy="docs"), "/ai", "/docs", id="a base path"),
        pytest.param(event("/ai/docs/", "/ai/docs/", proxy="docs"), "/ai", "/docs/", id="a base path, slash"),
        pytest.param(event("/a/b/docs", "/a/b/docs", proxy="docs"), "/a/b", "/docs", id="a long base path"),
        pytest.param(event("/ai/ai/x", "/ai/ai/x", proxy="ai/x"), "/ai", "/ai/x", id="a base path, twice"),
        pytest.param(
            event("/ai/dev/x", "/ai/dev/x", proxy="x"), "/ai/dev", "/x", id="a base path and a stage"
        ),
        pytest.param(event("/ai", "/ai", resource="/"), "/ai", "/", id="a base path's root"),
        pytest.param(
            event("/ai/t/7", "/ai/t/7", resource="/t/{id}", id="7"), "/ai", "/t/7", id="a parameter"
        ),
        pytest.param(
            event("/graphql", "/dev/graphql", resource="/graphql"), "/dev", "/graphql", id="a resource"
        ),
        pytest.param(event("/ai/a%20b", "/ai/a%20b", proxy="a b"), "", "/ai/a%20b", id="not to be found"),
        pytest.param(event("/docs", None, proxy="docs"), "", "/docs", id="no path in the context"),
        pytest.param(event("", "/dev", resource="/"), "/dev", "/", id="no path"),
    ],
)
def test_the_prefix_is_in_the_path(event: Any, prefix: str, path: str) -> None:
    assert split_path(event) == (prefix, path)


@pytest.mark.parametrize(
    ("name", "root_path", "path"),
    [
        ("rest_api_v1", "/prod", "/prod/v1/chat/completions"),
        ("rest_api_v1_stage", "/dev", "/dev/docs"),
        ("rest_api_v1_base_path", "/ai", "/ai/docs"),
    ],
)
def test_the_scope_has_both(name: str, root_path: str, path: str) -> None:
    scope = scope_of(golden(name))
    assert (scope["root_path"], scope["path"]) == (root_path, path)


def test_paths_in_the_scope_are_decoded() -> None:
    scope = scope_of(event("/gr%C3%BC%C3%9Fe", "/dev/gr%C3%BC%C3%9Fe", proxy="x"))
    assert (scope["root_path"], scope["path"]) == ("/dev", "/dev/grüße")


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-prefix", "x-forwarded-path", "x-script-name", "x-original-uri", "x-envoy-original-path"],
)
def test_no_header_makes_a_prefix(header: str) -> None:
    changed = golden("rest_api_v1_stage")
    changed["headers"][header] = "/evil"
    changed["multiValueHeaders"][header] = ["/evil"]
    assert scope_of(changed)["root_path"] == "/dev"


@pytest.mark.parametrize(
    "path",
    ["//evil.example/docs", "/evil//docs", "/../docs", "/%2e%2e/docs", "/dev/dev/docs", "/{proxy+}", "/"],
)
@pytest.mark.parametrize("base", ["", "/ai"])
def test_no_path_makes_a_prefix(path: str, base: str) -> None:
    visible = f"{base}{path}" if base else f"/dev{path}"
    changed = event(f"{base}{path}", visible, proxy=path[1:])
    assert split_path(changed) == (base or "/dev", path)
