"""What the scaler's function may return, or fail with: a request goes on, whatever that is."""

import asyncio
import io
import json
from typing import Any, cast

import pytest

from functions.chat.engines.scaler import ScalerFunction, Start, StartFailed
from functions.shared.aws import Aws, AwsError

STARTING = {"state": "starting", "reason": None, "elapsed_s": 1.5, "held": 1, "may_hold": True}


class Broken(io.BytesIO):
    """A body whose connection ends."""

    def read(self, *_: Any) -> bytes:
        raise ConnectionResetError("arn:aws:lambda:eu-central-1:123456789012")


class Lambda:
    """Lambda, with one response to every call."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def service(self, name: str, **_: Any) -> "Lambda":
        assert name == "lambda"
        return self

    def call(self, operation: str, **_: Any) -> Any:
        assert operation == "invoke"
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


def start(response: Any) -> Start:
    return asyncio.run(ScalerFunction(cast(Aws, Lambda(response))).start("arn", None))


def returned(text: str) -> dict[str, Any]:
    return {"Payload": io.BytesIO(text.encode())}


def failed(text: str) -> dict[str, Any]:
    return {**returned(text), "FunctionError": "Unhandled"}


def test_how_far_a_start_is() -> None:
    assert start(returned(json.dumps(STARTING))) == Start("starting", None, 1.5, may_hold=True)


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (returned("<html>"), "JSONDecodeError"),
        (returned(""), "JSONDecodeError"),
        (returned("null"), "InvalidReply"),
        (returned("[]"), "InvalidReply"),
        (returned(json.dumps({**STARTING, "state": "unknown"})), "InvalidReply"),
        (returned(json.dumps({**STARTING, "reason": ["quota"]})), "InvalidReply"),
        (returned(json.dumps({**STARTING, "elapsed_s": float("nan")})), "InvalidReply"),
        ({"Payload": Broken()}, "ConnectionResetError"),
        (AwsError("TooManyRequestsException", {}), "TooManyRequestsException"),
        (failed('{"errorType": "AwsError", "errorMessage": "AccessDenied"}'), "the scaler: AccessDenied"),
        (failed('{"errorType": "KeyError", "errorMessage": "secret"}'), "the scaler: KeyError"),
        (failed('{"errorType": "AwsError"}'), "the scaler: AwsError"),
        (failed('{"errorMessage": "Task timed out"}'), "the scaler"),
        (failed("null"), "the scaler"),
    ],
)
def test_a_start_that_fails_says_why_and_quotes_nothing(response: Any, cause: str) -> None:
    with pytest.raises(StartFailed) as raised:
        start(response)
    assert str(raised.value) == cause
