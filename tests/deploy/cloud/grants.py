"""Without a grant a request is denied, as on AWS; but not because of ministack's errors.

ministack checks the policies of roles where AUTH is set. Requests for an ECS service it checks against the
cluster; it does not see which items of a table a request is for; and buckets that require TLS reject requests
without it: here all requests count as TLS.

Source: Service Authorization Reference, Amazon ECS, DescribeServices and UpdateService, read 2026-11-23;
        Amazon DynamoDB, condition keys, read 2026-11-26.
"""

import json
from collections.abc import Iterator
from typing import Any

from ministack import app
from ministack.core import iam_actions

_TARGET = "AmazonEC2ContainerServiceV20141113."
_OF_A_SERVICE = (f"{_TARGET}DescribeServices", f"{_TARGET}UpdateService")
_ARN = "arn:aws:ecs:us-east-1:123456789012:service/one/two"


def needed() -> bool:
    """Return whether ministack still checks against the cluster."""
    body = json.dumps({"cluster": "one", "service": _ARN}).encode()
    headers = {"x-amz-target": _OF_A_SERVICE[1]}
    found = iam_actions.extract_resource_arn(
        "ecs", "POST", "/", headers, body, {}, "us-east-1", "123456789012"
    )
    return bool(found != _ARN)


def install() -> None:
    """Correct it."""
    pin, extract = app.pin_request_origin, iam_actions.extract_resource_arn
    known = iam_actions.dynamodb_service_context

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        keys = list(_leading_keys(json.loads(body or b"{}")))
        return {**known(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}

    def corrected(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, *others: Any
    ) -> Any:
        if service == "ecs" and headers.get("x-amz-target") in _OF_A_SERVICE:
            fields = json.loads(body)
            name = (fields.get("services") or [fields.get("service")])[0]
            if name.startswith("arn:"):
                return name
            *_, region, account = others
            cluster = fields["cluster"].rpartition("/")[2]
            return f"arn:aws:ecs:{region}:{account}:service/{cluster}/{name}"
        return extract(service, method, path, headers, body, *others)

    app.pin_request_origin = lambda address, _secure: pin(address, True)
    iam_actions.extract_resource_arn = corrected
    iam_actions.dynamodb_service_context = with_leading_keys


def _leading_keys(request: dict[str, Any]) -> Iterator[str]:
    """Yield the partition keys, which our table calls `pk`, of the items that a request names."""
    for name in ("Key", "Item"):
        if "pk" in request.get(name, {}):
            yield request[name]["pk"]["S"]
    for action in request.get("TransactItems", ()):
        for parameters in action.values():
            yield from _leading_keys(parameters)
