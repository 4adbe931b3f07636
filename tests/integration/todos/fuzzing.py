"""Generated requests, and what must hold for the reply to any of them."""

import json
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, configuration, settings
from hypothesis import strategies as st

from infra.paths import ROOT

configuration.set_hypothesis_home_dir(ROOT / ".local" / "hypothesis")

SCHEMA = schemathesis.graphql.from_path(ROOT / "functions/todos/schema.graphql")
FIELDS = [f"{kind}.{name}" for kind in SCHEMA for name in SCHEMA[kind]]
MEDIA_TYPES = ("application/json", "application/graphql-response+json")
CODES = {
    "BAD_REQUEST",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
    "NOT_FOUND",
}
_ACCEPTED = st.sampled_from(("*/*", *MEDIA_TYPES))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_OBJECT = st.dictionaries(st.text(), _JSON, max_size=3)
_MEMBERS = ("query", "variables", "operationName", "extensions")


def bounded(examples: int) -> settings:
    """Return settings under which the same examples are tried each time."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def documents(field: str) -> st.SearchStrategy[str]:
    """Return valid documents with one field of the root and any arguments."""
    kind, _, name = field.partition(".")
    return SCHEMA[kind][name].as_strategy().map(lambda case: str(case.body))


def any_document() -> st.SearchStrategy[str]:
    """Return documents for any field, most of them with a few characters lost or put in."""
    cut = st.integers(0, 80)
    return st.builds(
        lambda text, at, lost, put: text[:at] + put + text[at + lost :],
        st.sampled_from(FIELDS).flatmap(documents),
        cut,
        cut.map(lambda number: number // 20),
        st.text(max_size=2),
    )


def bodies() -> st.SearchStrategy[bytes]:
    """Return bodies; some have members of any kind, or are no object, or no JSON."""
    request = st.fixed_dictionaries({"query": any_document()}, optional={"variables": st.none() | _OBJECT})
    odd = st.fixed_dictionaries({}, optional=dict.fromkeys((*_MEMBERS, "id"), any_document() | _JSON))
    written = (request | odd | _JSON).map(lambda value: json.dumps(value).encode())
    return st.one_of(request.map(lambda value: json.dumps(value).encode()), written, st.binary(max_size=200))


def urls() -> st.SearchStrategy[dict[str, str]]:
    """Return the parameters of a GET request."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
    query = any_document().map(lambda text: text.encode(errors="replace").decode())
    objects = _OBJECT.map(json.dumps)
    others = {"variables": objects | text, "operationName": text, "extensions": objects | text}
    return st.fixed_dictionaries({"query": query | text}, optional=others)


def headers() -> st.SearchStrategy[dict[str, str]]:
    """Return the headers of a POST request."""
    return st.fixed_dictionaries({"accept": _ACCEPTED, "content-type": st.just("application/json")})


def check(reply: httpx.Response) -> dict[str, Any]:
    """Expect GraphQL over HTTP and nothing that is our fault; return the body."""
    assert reply.status_code < 500, reply.text
    assert reply.headers["content-type"].partition(";")[0] in MEDIA_TYPES
    body: dict[str, Any] = json.loads(reply.content, parse_constant=_refuse)
    assert body.keys() in ({"data"}, {"errors"}, {"data", "errors"}), body
    assert body.get("errors") != []
    for error in body.get("errors", ()):
        assert error["message"]
        assert error["extensions"]["code"] in CODES, body
    return body


def _refuse(name: str) -> None:
    raise AssertionError(f"expected JSON, but got {name}")
