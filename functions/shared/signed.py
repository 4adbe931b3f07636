"""The services that functions call while a caller waits, without boto3: signed here, on sockets of ours.

DynamoDB and Secrets Manager speak JSON 1.x, Lambda's Invoke is plain HTTP. Other services, proxies and
profiles are boto3's (`boto`). Why: `docs/decisions/0038-aws-without-boto3.md`.

Source: the service models, partitions and parsers of botocore 1.44.5, read 2026-11-28.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from .aws import CONNECT_TIMEOUT_S, AwsError
from .https import Response, Server
from .role import Role, RoleKeysUnavailable
from .signatures import signed_headers

# How operations are named on the wire, and the version of the protocol.
_JSON = {"dynamodb": ("DynamoDB_20120810", "1.0"), "secretsmanager": ("secretsmanager", "1.1")}
# What a service's name is in variables that set its address.
_VARIABLES = {"dynamodb": "DYNAMODB", "secretsmanager": "SECRETS_MANAGER", "lambda": "LAMBDA"}
# How names end in regions that begin so; all others end in amazonaws.com.
_ENDS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}


class Signed:
    """The account and the region of a function.

    Shape:  `environ` is read at each use.
    """

    def __init__(self, environ: Mapping[str, str], role: Role) -> None:
        self._environ, self._role = environ, role

    def client(self, name: str, endpoint_url: str | None, read_timeout_s: float) -> SignedClient:
        """Return a new client.

        Raises: AwsError: the region is not set.
        """
        if not (region := self._role.region):
            raise AwsError("NoRegionError", {})
        end = next((end for begin, end in _ENDS.items() if region.startswith(begin)), "amazonaws.com")
        named = (f"AWS_ENDPOINT_URL_{_VARIABLES[name]}", "AWS_ENDPOINT_URL")
        given = endpoint_url or next((self._environ[each] for each in named if self._environ.get(each)), None)
        url = (given or f"https://{name}.{region}.{end}").rstrip("/")
        server = Server(
            url,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            read_timeout_s=read_timeout_s,
            authorities=self._environ.get("AWS_CA_BUNDLE") or None,
        )
        return SignedClient(name, url, region, self._role, server)


class SignedClient:
    """One service."""

    def __init__(self, name: str, url: str, region: str, role: Role, server: Server) -> None:
        self.url = url
        self._name, self._region, self._role, self._server = name, region, role, server

    def send(self, operation: str, parameters: dict[str, Any]) -> Any:
        """Call an operation and return its response, as boto3 would.

        Raises: AwsError.
        """
        if self._name == "lambda":
            assert operation == "invoke"
            return self._invoke(parameters["FunctionName"], parameters["Payload"])
        service, version = _JSON[self._name]
        headers = {
            "content-type": f"application/x-amz-json-{version}",
            "x-amz-target": f"{service}.{''.join(map(str.capitalize, operation.split('_')))}",
        }
        response = self._post("/", headers, json.dumps(parameters).encode())
        return _with_status(_json(response), response)

    def connect(self) -> None:
        """Open a connection.

        Raises: AwsError.
        """
        self._server.connect()

    def close(self) -> None:
        """Close the connections that are free."""
        self._server.close()

    def _invoke(self, function: str, payload: str) -> dict[str, Any]:
        target = f"/2015-03-31/functions/{quote(function, safe='-_.~')}/invocations"
        response = self._post(target, {}, payload.encode())
        failed = response.headers.get("x-amz-function-error")
        shown = {"Payload": io.BytesIO(response.body), **({"FunctionError": failed} if failed else {})}
        return _with_status(shown, response)

    def _post(self, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            keys = self._role.current()
        except RoleKeysUnavailable as error:
            raise AwsError(str(error), {}) from None
        url = self.url + target
        signed = signed_headers(
            keys,
            method="POST",
            url=url,
            body=body,
            service=self._name,
            region=self._region,
            at=time.time(),
            headers=headers,
        )
        parts = urlsplit(url)
        response = self._server.send("POST", parts.path, {"host": parts.netloc, **signed}, body)
        if response.status >= 300:
            content = _json(response)
            kind = response.headers.get("x-amzn-errortype") or content.get("__type") or str(response.status)
            code = str(kind).partition(":")[0].rpartition("#")[2]
            raise AwsError(code, _with_status(content, response))
        return response


def _json(response: Response) -> dict[str, Any]:
    """Read the object that a response holds; that of an error may be missing, as a load balancer's is.

    Raises: AwsError: none was returned.
    """
    try:
        content = json.loads(response.body or b"{}")
    except ValueError:
        content = None
    if not isinstance(content, dict):
        if response.status >= 300:
            return {}
        raise AwsError("ResponseParserError", {}, lost=True)
    return content


def _with_status(content: dict[str, Any], response: Response) -> dict[str, Any]:
    return {**content, "ResponseMetadata": {"HTTPStatusCode": response.status}}
