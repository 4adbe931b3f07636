"""The function that starts engines, as `functions/scaler/handler.py` has it."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Literal, Protocol

from functions.shared.aws import Aws, AwsError, in_thread
from functions.shared.frozen import Frozen

# A scaler that is cold loads boto3 first, and its calls of ECS may take seconds.
READ_TIMEOUT_S = 15.0


class StartFailed(Exception):
    """An engine could not be started. The text is AWS's code for it, or the scaler's error, for operators."""


class Start(Frozen):
    """How far an engine is.

    Shape:  `reason`: why it is blocked, a key of `BLOCKED`. `may_hold`: the stream has a place among those
            that wait.
    Units:  `elapsed_s` s since the start began.
    """

    state: Literal["running", "starting", "blocked"]
    reason: str | None = None
    elapsed_s: float = 0.0
    may_hold: bool = False


# What callers read of a start that is blocked; the scaler logs AWS's own words, and the remedy.
BLOCKED = {
    "quota": "the account's quota allows no such machine",
    "capacity": "no such machine is free at the moment",
    "permission": "the account may not start its machine",
    "machine": "its machine does not start",
    "placement": "its machine is too small for it",
    "image": "its image cannot be loaded",
    "memory": "its machine has too little memory for it",
    "engine": "it fails while it starts",
}


class Scaler(Protocol):
    """What starts engines."""

    async def start(self, scaler: str, holder: str | None) -> Start:
        """Start an engine unless it runs or starts already; renew the place of a stream that waits for it.

        Shape:  `scaler` is the model's; `holder` names the stream; None: the request does not wait.
        Raises: StartFailed.
        """

    async def release(self, scaler: str, holder: str) -> None:
        """Give back the place of a stream that waits no longer.

        Raises: StartFailed.
        """


class ScalerFunction:
    """Scalers that are Lambda functions, named by their ARNs.

    Shape:  `endpoint_url`: Lambda's; None: its usual one, which has no IPv6 addresses.
    """

    def __init__(self, aws: Aws, endpoint_url: str | None = None) -> None:
        self._lambda = aws.service("lambda", endpoint_url=endpoint_url, read_timeout_s=READ_TIMEOUT_S)

    async def start(self, scaler: str, holder: str | None) -> Start:
        """Start an engine; see `Scaler`."""
        match await self._invoke(scaler, {"action": "start", "holder": holder}):
            case {
                "state": "running" | "starting" | "blocked" as state,
                "reason": None | str() as reason,
                "elapsed_s": int() | float() as elapsed_s,
                "may_hold": bool() as may_hold,
            } if isfinite(elapsed_s):
                return Start(state, reason, elapsed_s, may_hold)
        raise StartFailed("InvalidReply")

    async def release(self, scaler: str, holder: str) -> None:
        """Give back a place; see `Scaler`."""
        await self._invoke(scaler, {"action": "release", "holder": holder})

    async def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        def invoke() -> Any:
            response = self._lambda.call("invoke", FunctionName=function, Payload=json.dumps(event))
            return json.load(response["Payload"]), "FunctionError" in response

        try:
            reply, has_failed = await in_thread(invoke)
        except AwsError as error:
            raise StartFailed(error.code) from None
        except Exception as error:  # noqa: BLE001 - the reply broke off, or is not JSON: the request goes on
            raise StartFailed(type(error).__name__) from None
        if not has_failed:
            return reply
        match reply:
            # The text of an AwsError is AWS's code; any other may quote what it was called with.
            case {"errorType": "AwsError", "errorMessage": str(cause)} | {"errorType": str(cause)}:
                raise StartFailed(f"the scaler: {cause}")
        raise StartFailed("the scaler")
