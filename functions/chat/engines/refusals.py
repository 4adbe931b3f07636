"""What an engine's refusal means, from all that came with it: its status, headers, text, and how soon."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.chat.errors import (
    NO_RETRY,
    ApiError,
    EngineDraining,
    EngineUnreachable,
    Overloaded,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.json_text import parse
from functions.chat.models import Model

from .errors import translate

# An engine that is full says so within this time.
REFUSED_S = 0.5
# Within what time a balancer of AWS says that it has no engine: none at all (503), one whose port is closed
# (502) or whose machine is gone (504: it tries for 10 s). Later than that, the engine had the request.
BALANCER_S = {502: REFUSED_S, 503: math.inf, 504: 12.0}
UNREACHABLE = "The engine could not be reached. Try again shortly; if it persists, its operator has to look."
DROPPED = (
    "The connection to the engine ended before it answered. The engine may have run the request, so it was"
    " not sent again. Send it again if it may run twice."
)
_LOAD_BALANCER = "awselb/"
# A proxy's 503 after it has passed the request on: Envoy, Varnish.
_LOST = re.compile(rb"reset reason: (?!connection failure|overflow)|backend fetch failed", re.I)
# By credentials and status, what an operator can do about it. Nothing of it is the engine's text.
_HINTS = {
    ("bedrock", 401): "Bedrock does not accept the token of the function's role: allow it "
    "bedrock:CallWithBearerToken",
    ("bedrock", 403): "Bedrock refuses the function's role: allow it bedrock:CallWithBearerToken, "
    "bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream, and the account this model",
    (
        "bedrock",
        404,
    ): "Bedrock has no such model in this region: correct `served_name` or `base_url` in MODELS",
    ("function_url", 403): "the function behind this URL does not admit this role: allow it "
    "lambda:InvokeFunctionUrl and lambda:InvokeFunction",
}


class Refusal(NamedTuple):
    """A refusal, in the caller's terms.

    Shape:  `hint`: for the operator's log; "" for none.
    Units:  `least_s`: how long to wait at least before the same request is sent again; None: never.
    """

    error: ApiError
    least_s: float | None
    hint: str = ""


def judge(model: Model, status: int, headers: Mapping[str, str], text: bytes, took_s: float) -> Refusal:
    """Return what a reply that is not 200 means.

    Shape:  `headers` by their names in lower case.
    Units:  `took_s`: from the request to the head of the reply.
    """
    try:
        body = parse(text)
    except (ValueError, RecursionError):
        body = text.decode("utf-8", "replace")
    # A full engine says so in its own words, or at once; later, a proxy has lost the engine at work.
    is_late = not isinstance(body, dict) and took_s > REFUSED_S
    # AWS's name of the error: `AccessDeniedException:http://…`.
    name = headers.get("x-amzn-errortype", "").partition(":")[0]
    named = {"__type": name, "message": body} if name else body
    error = translate(model.id, status, named, retry_after_s(headers))
    if status == 503 and (is_late or _LOST.search(text)):
        error = UpstreamError(DROPPED, retry=False)
    is_full = status == 503 and isinstance(error, Overloaded)
    is_draining = status == 500 and isinstance(error, EngineDraining)
    if _has_not_run_there(model, status, headers, body):
        error = UpstreamError(UNREACHABLE)
    elif not (is_full or is_draining or (300 <= status < 500 and status != 408)):
        error = not_again(error)
    from_balancer = headers.get("server", "").startswith(_LOAD_BALANCER)
    is_gone = from_balancer and took_s < BALANCER_S.get(status, 0)
    if model.scaler and (is_draining or is_gone):
        error = EngineUnreachable(UNREACHABLE)
    least_s = retry_after_s(headers, otherwise=0) if is_full or is_draining else None
    return Refusal(error, least_s, _HINTS.get((model.credentials, status), ""))


def not_again(error: ApiError) -> ApiError:
    """Keep SDKs from repeating a request that the engine may have run, where they would."""
    if isinstance(error, UpstreamError | UpstreamTimeout):
        error.headers.update(NO_RETRY)
    return error


def retry_after_s(headers: Mapping[str, str], otherwise: float = 1.0) -> float:
    """Read how long to wait before the next request: at least 1 ms."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            return max(float(value) * unit_s, 0.001)
    return otherwise


def _has_not_run_there(model: Model, status: int, headers: Mapping[str, str], body: Any) -> bool:
    """Return whether this API, behind a Function URL, says that its own engine has not run the request.

    It has a code of ours; where SDKs must not send the request again, it says that, too.
    """
    error = body.get("error") if isinstance(body, dict) else None
    return (
        model.credentials == "function_url"
        and status == 502
        and isinstance(error, dict)
        and error.get("code") == "upstream_error"
        and "x-should-retry" not in headers
    )
