"""HTTP events by kind: the request in each, and the form of a whole reply to it.

| event                                        | class         | its name in `streams` |
| ---                                          | ---           | ---                   |
| Function URL                                 | FunctionUrl   | `HTTPGateway`         |
| REST API                                     | RestApi       | `APIGateway`          |
| HTTP API, payload format 1.0 and 2.0         | HttpApi       | – it cannot stream    |
| load balancer                                | LoadBalancer  | –                     |
| CloudFront (Lambda@Edge)                     | Edge          | –                     |

Mangum knows the form of whole replies; the requests are read here.

Source: AWS Lambda, "Invoking Lambda function URLs"; Amazon API Gateway, "Lambda proxy integrations"; Elastic
        Load Balancing, "Lambda functions as targets"; which of them decode a path is from captures of real
        events (hotsock/voker 8, middleapi/standard-server 93); read 2026-11-26.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode
from binascii import a2b_base64
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote_plus

from ._errors import MalformedEvent
from ._event_json import utf8_of
from ._scope import fields_of, http_scope, paths_of, query_of, with_length

if TYPE_CHECKING:
    from mangum.types import Response, Scope

GATEWAYS = ("HTTPGateway", "APIGateway")
"""What can carry a stream: payload v2 (Function URL) and payload v1 (REST API), as Mangum names them."""

_CONFIG = {
    "api_gateway_base_path": "/",
    "text_mime_types": [
        *("text/", "application/json", "application/javascript", "application/xml"),
        *("application/vnd.api+json", "application/vnd.oai.openapi"),
    ],
    "exclude_headers": [],
}
"""Which bodies Mangum leaves as text."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

_STEP = 1024 * 1024
"""How many bytes of base64 are decoded in one step: 2.5 ms."""


class Request:
    """One HTTP event. Called with a whole reply, it returns the reply in the form that its gateway takes."""

    gateway: ClassVar[str | None] = None
    form: ClassVar[str]
    config = _CONFIG

    def __init__(self, event: Any, context: Any) -> None:
        self.event = event
        self.context = context
        self._decoded: bytes | None = None

    async def decode(self) -> None:
        """Decode a large body of base64 in steps, between which the event loop turns: 6 MB take 14 ms."""
        body = self.event.get("body")
        if not (self.event.get("isBase64Encoded") and isinstance(body, str) and body.isascii()):
            return
        if len(body) <= _STEP:
            return
        data = utf8_of(body)
        padding = data.translate(None, _BASE64)
        # Where there is more than base64, steps would begin within a group of four.
        if padding in (b"", b"=", b"==") and data.endswith(padding) and len(data) % 4 == 0:
            pieces = []
            for begin in range(0, len(data), _STEP):
                pieces.append(a2b_base64(memoryview(data)[begin : begin + _STEP]))
                await asyncio.sleep(0)
            self._decoded = b"".join(pieces)

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        raise NotImplementedError

    @property
    def body(self) -> bytes:
        """The body, empty where there is none."""
        if self._decoded is not None:
            return self._decoded
        body = self.event.get("body") or b""
        if self.event.get("isBase64Encoded"):
            return b64decode(body)
        return body if isinstance(body, bytes) else utf8_of(body)

    def __call__(self, response: Response) -> dict[str, Any]:
        """Return a whole reply as Mangum's class of that name writes it."""
        from mangum import handlers  # here: a stream does not need it, and it is slow to import

        reply: dict[str, Any] = getattr(handlers, self.form).__call__(self, response)
        return reply


class FunctionUrl(Request):
    """Payload format 2.0 as a Function URL sends it: the path still percent-encoded."""

    gateway = "HTTPGateway"
    form = "HTTPGateway"

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        path = self.event.get("rawPath") or self.event["requestContext"]["http"].get("path")
        return _scope_v2(self.event, self.context, paths_of(path))


class HttpApi(Request):
    """An HTTP API's event in either format: the path is decoded, and begins with a named stage."""

    form = "HTTPGateway"

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        event, context = self.event, self.event["requestContext"]
        v2 = event["version"] == "2.0"
        path = event.get("rawPath") or context["http"].get("path") if v2 else event["path"]
        stage = f"/{context.get('stage')}"
        prefix = stage if f"{path}/".startswith(f"{stage}/") else ""
        paths = paths_of((path or "/").removeprefix(prefix), prefix, decoded=True)
        return (_scope_v2 if v2 else _scope_v1)(event, self.context, paths)


class RestApi(Request):
    """Payload format 1.0 of a REST API: the path still percent-encoded."""

    gateway = "APIGateway"
    form = "APIGateway"

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        prefix, path = split_path(self.event)
        return _scope_v1(self.event, self.context, paths_of(path, prefix))


class LoadBalancer(Request):
    """A load balancer's event: path and query are still percent-encoded."""

    form = "ALB"

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        event = self.event
        fields = fields_of(event.get("headers"), event.get("multiValueHeaders"))
        single, several = (
            {
                unquote_plus(name): [
                    unquote_plus(each) for each in (value if isinstance(value, list) else [value])
                ]
                for name, value in (event.get(key) or {}).items()
            }
            for key in ("queryStringParameters", "multiValueQueryStringParameters")
        )
        return http_scope(
            event,
            self.context,
            method=event["httpMethod"],
            paths=paths_of(event.get("path") or "/"),
            query_string=query_of(single, several),
            fields=fields,
            client=fields.get("x-forwarded-for", "").split(",")[-1].strip() or None,
        )


class Edge(Request):
    """A viewer's or origin's request of CloudFront."""

    form = "LambdaAtEdge"

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        request = self.event["Records"][0]["cf"]["request"]
        several = {name: [each["value"] for each in values] for name, values in request["headers"].items()}
        return http_scope(
            self.event,
            self.context,
            method=request["method"],
            paths=paths_of(request["uri"]),
            query_string=quote(request.get("querystring") or "", safe="!$%&'()*+,-./:;=?@_~").encode(),
            fields=fields_of(None, several),
            client=request.get("clientIp"),
        )

    @property
    def body(self) -> bytes:
        """The body, empty where there is none or where CloudFront leaves it out."""
        body = self.event["Records"][0]["cf"]["request"].get("body") or {}
        data = body.get("data") or ""
        return b64decode(data) if body.get("encoding") == "base64" else data.encode()


def http_request(event: Any, context: Any) -> Request | None:
    """Return the request in an event; None where the event is of another kind."""
    kind = _kind_of(event) if isinstance(event, dict) else None
    return kind(event, context) if kind else None


def _kind_of(event: dict[str, Any]) -> type[Request] | None:
    context, records = event.get("requestContext"), event.get("Records")
    if isinstance(records, list):
        return Edge if records and isinstance(records[0], dict) and "cf" in records[0] else None
    # An authorizer's event looks like a request, but wants a policy for it.
    if not isinstance(context, dict) or "methodArn" in event or "routeArn" in event:
        return None
    if "elb" in context:
        return LoadBalancer
    if "version" in event:
        return HttpApi if event["version"] == "1.0" or _is_http_api(context) else FunctionUrl
    return RestApi if "resource" in event else None


def _is_http_api(context: dict[str, Any]) -> bool:
    """Return whether format 2.0 comes from an HTTP API: a Function URL has neither stages nor routes."""
    own_names = context.get("stage", "$default"), context.get("routeKey", "$default")
    return own_names != ("$default", "$default") or ".execute-api." in str(context.get("domainName"))


def gateways(names: Iterable[str]) -> frozenset[str]:
    """Return the named gateways.

    Raises: ValueError: one of them cannot stream.
    """
    chosen = frozenset(names)
    if not chosen <= set(GATEWAYS):
        raise ValueError(f"expected streams to name some of {GATEWAYS} but got {sorted(chosen)}")
    return chosen


def scope_and_body(request: Request) -> tuple[Scope, bytes]:
    """Return the ASGI scope and the body of an event.

    Raises: MalformedEvent: the event is of a known kind, but holds no valid request.
    """
    try:
        scope, body = request.scope, request.body
        scope["headers"] = with_length(scope["headers"], scope["method"], body)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise MalformedEvent(f"the event holds no valid request: {type(error).__name__}") from error
    return scope, body


def streaming_scope(scope: Scope) -> Scope:
    """Return a scope in which no coding is acceptable for the body.

    Compression would hold a stream back, and its header does not pass.
    """
    return {**scope, "headers": [header for header in scope["headers"] if header[0] != b"accept-encoding"]}


def _scope_v2(event: Any, context: Any, paths: dict[str, Any]) -> Scope:
    http, cookies = event["requestContext"]["http"], event.get("cookies")
    fields = fields_of(event.get("headers"))
    if cookies:
        fields["cookie"] = "; ".join(cookies)
    raw_query = event.get("rawQueryString")
    query = query_of(event.get("queryStringParameters")) if raw_query is None else raw_query.encode()
    return http_scope(
        event,
        context,
        method=http["method"],
        paths=paths,
        query_string=query,
        fields=fields,
        client=http.get("sourceIp"),
    )


def _scope_v1(event: Any, context: Any, paths: dict[str, Any]) -> Scope:
    return http_scope(
        event,
        context,
        method=event["httpMethod"],
        paths=paths,
        query_string=query_of(
            event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
        ),
        fields=fields_of(event.get("headers"), event.get("multiValueHeaders")),
        client=(event["requestContext"].get("identity") or {}).get("sourceIp"),
    )


def split_path(event: dict[str, Any]) -> tuple[str, str]:
    """Return what a REST API puts before its own path, and that path.

    | the API is called by          | `path` of the event                   | `path` of its request context |
    | ---                           | ---                                   | ---                           |
    | its own address               | `/docs`                               | `/dev/docs`: with the stage   |
    | a domain of one's own         | `/base/docs`: with the base path      | the same                      |

    Both come from API Gateway alone: no header of the caller's has a part in it.

    Shape:  the prefix is empty or `/dev`, without a slash at its end; the path begins with one.
    Source: Amazon API Gateway, "Lambda proxy integrations"; what the paths hold, from issues with events of
            each kind (serverless-express 86 and 216, localstack 12296); read 2026-11-23.
    """
    context, path = event["requestContext"], event["path"] or "/"
    stage = f"/{context.get('stage')}"
    visible = context.get("path") or path
    if visible.rstrip("/") == (stage + path).rstrip("/"):
        return stage, path
    # The resource's own path is what a domain's mapping leads to; where it cannot be found, all is path.
    parameters = event.get("pathParameters") or {}
    own = re.sub(
        r"\{([^{}+]+)\+?\}", lambda found: parameters.get(found[1], found[0]), event["resource"]
    ).rstrip("/")
    prefix = path.rstrip("/")
    if not prefix.endswith(own):
        return "", path
    prefix = prefix.removesuffix(own)
    return prefix, path[len(prefix) :] or "/"
