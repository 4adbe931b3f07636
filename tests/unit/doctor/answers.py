"""Accounts whose answers are in files, behind boto3's own clients: AWS's models check requests and answers.

No account gave them: they were composed from AWS's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import NoCredentialsError
from botocore.model import OperationModel
from botocore.validate import ParamValidator

_FOLDER = Path(__file__).parent / "accounts"
_PARAMETERS = "doctor_parameters"
# Clients take longer to make than all else; they answer for the account of the test that runs.
_real = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
_clients: dict[tuple[str, str], Any] = {}
_answering: list[AccountSession] = []


class AccountSession:
    """A session of boto3's in one region of an account.

    Shape:  `answers`: each with `call` (as `ec2 DescribeVpcs`), which parameters it is for (`with`), and a
            `response`, or an `error` with AWS's code and message. The first that suits is given. `calls`:
            those that were made.
    """

    def __init__(
        self, answers: Sequence[Mapping[str, Any]], *, region: str | None = "us-east-1", denied: bool = False
    ) -> None:
        self.region_name = region
        self.calls: set[str] = set()
        self._answers, self._denied = answers, denied

    def client(self, service: str, *, region_name: str, config: object) -> Any:  # noqa: ARG002
        _answering[:] = [self]
        key = service, region_name
        if key not in _clients:
            client = _clients[key] = _real.client(service, region_name=region_name)
            client.meta.events.register("before-parameter-build.*.*", _keep_parameters)
            client.meta.events.register("before-call.*.*", _answer)
        return _clients[key]

    def answer(self, model: OperationModel, parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
        """Return the answer to a call, checked against its model."""
        call = f"{model.service_model.service_name} {model.name}"
        self.calls.add(call)
        if self._denied and model.name != "GetCallerIdentity":
            action = f"{model.service_model.signing_name}:{model.name}"
            text = f"User: arn:aws:iam::111122223333:user/me is not authorized to perform: {action} on …"
            return {"Error": {"Code": "AccessDeniedException", "Message": text}}
        given = {**parameters, "region": region}
        for answer in self._answers:
            if answer["call"] == call and answer.get("with", {}).items() <= given.items():
                break
        else:
            raise AssertionError(f"expected an answer to {call} with {parameters}, but the account has none")
        if answer.get("error") == {"Code": "NoCredentials"}:
            raise NoCredentialsError
        if "error" in answer:
            return {"Error": answer["error"]}
        if model.output_shape:
            report = ParamValidator().validate(answer["response"], model.output_shape)
            assert not report.has_errors(), f"{call}: {report.generate_report()}"
        return dict(answer["response"])


def account(name: str, *changes: Mapping[str, Any], **how: Any) -> AccountSession:
    """Return a session of an account in `accounts`, with other answers to some calls."""
    answers = json.loads((_FOLDER / f"{name}.json").read_text())
    return AccountSession([*changes, *answers], **how)


def _keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    # Lists of names and values become texts, so that all can be compared.
    context[_PARAMETERS] = {
        name: value if isinstance(value, (str, bool)) else json.dumps(value) for name, value in params.items()
    }


def _answer(
    model: OperationModel, context: dict[str, Any], **_: object
) -> tuple[AWSResponse, dict[str, Any]]:
    region = context["client_region"]
    parsed = _answering[0].answer(model, context[_PARAMETERS], region)
    status = 400 if "Error" in parsed else 200
    parsed["ResponseMetadata"] = {"HTTPStatusCode": status}
    return AWSResponse("", status, {}, None), parsed
