"""What goes wrong between a caller and a function.

Failure                    what the console says about one request
├── CallerLeft             nobody is there to be answered
├── FunctionFailed         502, or an aborted connection once the reply has begun
│   └── ReplyTooLong       and 413 for the function
└── Refused                the door's own answer; the function is not asked
CannotStart                one line for the terminal, then exit status 1
"""


class Failure(Exception):
    """End one request otherwise than planned; its text is for the console."""


class CallerLeft(Failure):
    """Nobody is left to answer."""

    def __init__(self) -> None:
        super().__init__("client left")


class FunctionFailed(Failure):
    """The function crashed, timed out, reported an error, or answered what cannot be passed on."""


class ReplyTooLong(FunctionFailed):
    """The reply is longer than Lambda passes on."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"reply longer than {max_bytes} bytes")


class Refused(Failure):
    """The door answers by itself."""

    def __init__(self, status: int, message: str, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.message = message


class CannotStart(Exception):
    """Something that the start needs is missing; the text says what, and what to do next."""
