"""REST APIs that stream: their integration's path, and a reply that begins with its status and headers.

ministack has neither for REST APIs. A reply that arrives in parts is returned as a whole. And ministack's
events of REST APIs have a version, which only those of HTTP APIs have. Their addresses are served at the host
that AWS gives them, as Function URLs are.
"""

import re
from typing import Any

from ministack import app
from ministack.services import apigateway_v1, lambda_svc

_STREAMED, _WHOLE = "/response-streaming-invocations", "/invocations"


def needed() -> bool:
    """Return whether ministack still takes the streaming path for a part of the function's name."""
    found: str = apigateway_v1._extract_lambda_ref_from_integration_uri(f"arn:path/functions/one{_STREAMED}")
    return found != "one"


def install() -> None:
    """Change ministack's module of REST APIs."""
    rest_apis = apigateway_v1
    reference, response = rest_apis._extract_lambda_ref_from_integration_uri, rest_apis._lambda_proxy_response
    event = rest_apis._build_lambda_event_v1

    def streaming_reference(uri: str) -> Any:
        return reference(uri.replace(_STREAMED, _WHOLE))

    def streamed_response(result: dict[str, Any]) -> Any:
        body = result.get("body")
        prelude, rest = (None, b"")
        if isinstance(body, str):
            prelude, rest = lambda_svc._split_stream_prelude(body.encode())
        return response(result) if prelude is None else ({**prelude, "body": rest.decode()}, None)

    def event_without_version(*arguments: Any, **options: Any) -> Any:
        made = event(*arguments, **options)
        del made["version"]
        return made

    app._EXECUTE_API_RE = re.compile(r"^(\w+)\.execute-api\.")
    rest_apis._build_lambda_event_v1 = event_without_version
    rest_apis._extract_lambda_ref_from_integration_uri = streaming_reference
    rest_apis._lambda_proxy_response = streamed_response
