"""What can go wrong between an HTTP client and a function.

RequestFailure              its text ends the request's line on the console
├── ClientDisconnected      no response is sent
├── FunctionFailed          502, or an aborted connection once the response has begun
│   ├── InitFailed
│   └── ReplyTooLong        and 413 for the function
└── Refused                 the gateway's own response; the function is not invoked
    ├── NotServed           one that AWS's gateway would not give
    └── Starting            the same, until the service is ready
"""

import json
from collections.abc import Collection


class RequestFailure(Exception):
    """A request could not be completed; the text is for the console."""


class ClientDisconnected(RequestFailure):
    """The HTTP client closed its connection."""

    def __init__(self) -> None:
        super().__init__("client disconnected")


class FunctionFailed(RequestFailure):
    """The function crashed, timed out, reported an error, or sent a reply that cannot be passed on."""


class InitFailed(FunctionFailed):
    """The function reported that it could not be loaded; `message` is what it reported."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"init failed: {error_type}")
        self.error_type, self.message = error_type, message


class ReplyTooLong(FunctionFailed):
    """The reply is longer than Lambda passes on."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"reply longer than {max_bytes} bytes")


class Refused(RequestFailure):
    """The gateway responds in place of the function.

    Shape:  `message` is the response's body, as AWS writes it; `reason` is for the console.
    """

    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.message = message


class NotServed(Refused):
    """What this gateway does not pass on but AWS's would; the body has the form of OpenAI's errors."""

    def __init__(self, status: int, message: str, code: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        super().__init__(status, json.dumps({"error": error}), code.replace("_", " "))


class Starting(Refused):
    """What the service needs is not ready; `/health` gets the list of it."""

    headers = ((b"retry-after", b"1"),)

    def __init__(self, path: str, waiting_for: Collection[str]) -> None:
        names = sorted(waiting_for)
        message = f"The service is starting, and waits for: {', '.join(names)}. Try again in a second."
        error = {"message": message, "type": "service_unavailable_error", "param": None, "code": "starting"}
        health = {"status": "starting", "waiting_for": names}
        super().__init__(503, json.dumps(health if path == "/health" else {"error": error}), "starting")
