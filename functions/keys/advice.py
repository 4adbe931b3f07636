"""What to do when AWS could not be asked, by its code for what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from functions.shared.keys import KeysUnavailable, KeyTaken

from .errors import CommandFailed
from .place import Place

_NOT_SET_UP = (
    "The package {module} is not installed for this Python. Run make run once, then use the clone's own:"
    " .venv/bin/python -m functions.keys"
)

_CREDENTIALS = (
    "AWS does not know who you are ({code}). Log in, as with `aws sso login`, or set AWS_PROFILE, or"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a table on this machine any text will do."
)
_DENIED = (
    "AWS does not let you use {place} ({code}). Use another AWS_PROFILE, or ask for the right to read and"
    " write the table, and for cloudformation:DescribeStacks where you give --stack."
)
_REGION = "No AWS region was named ({code}). Give --region, as in --region eu-central-1, or set AWS_REGION."
_MISSING = (
    "There is no {place} ({code}). Check its name, and that --region and AWS_PROFILE are those of its stack."
)
_NO_STACK = "There is no {place} ({code}). Check its name, --region and AWS_PROFILE, or give --table."
_NO_OUTPUT = (
    "{Place} has no output KeysTable ({code}). Deploy it anew, or give the table's name with --table."
)
_FOREIGN = (
    "{Place} does not take what was asked ({code}): its name is wrong, or it is no table of keys."
    " Check the name; the stack's output KeysTable tells it."
)
_BUSY = "DynamoDB takes no more questions right now ({code}). Wait a minute and do the same again."
_UNREACHABLE = (
    "{Place} could not be reached ({code}). Check the network, --region, and --endpoint where you give one."
)
_OTHER = "{Place} could not be asked ({code}). Do the same again; AWS's documents explain the code."

_BY_CODE = {
    **dict.fromkeys(
        (
            "NoCredentialsError",
            "PartialCredentialsError",
            "CredentialRetrievalError",
            "LoginError",
            "LoginInsufficientPermissions",
            "LoginTokenLoadError",
            "LoginRefreshRequired",
            "NoAuthTokenError",
            "SSOTokenLoadError",
            "SSOError",
            "UnauthorizedSSOTokenError",
            "TokenRetrievalError",
            "ProfileNotFound",
            "ExpiredToken",
            "ExpiredTokenException",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "IncompleteSignature",
            "IncompleteSignatureException",
        ),
        _CREDENTIALS,
    ),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _DENIED),
    **dict.fromkeys(("NoRegionError", "InvalidRegionError", "UnknownRegionError"), _REGION),
    "ResourceNotFoundException": _MISSING,
    "ValidationError": _NO_STACK,
    "OutputNotFound": _NO_OUTPUT,
    **dict.fromkeys(("ValidationException", "ParamValidationError"), _FOREIGN),
    **dict.fromkeys(
        (
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "TransactionInProgressException",
            "ConditionalCheckFailedException",
        ),
        _BUSY,
    ),
    **dict.fromkeys(
        (
            "EndpointConnectionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ConnectionClosedError",
            "ProxyConnectionError",
            "SSLError",
            "HTTPClientError",
            "ConnectionError",
        ),
        _UNREACHABLE,
    ),
}


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Say what to do next where the table could not be asked.

    Raises: CommandFailed.
    """
    try:
        yield
    except KeysUnavailable as error:
        lines = (advice(str(error), place), *getattr(error, "__notes__", ()))
        raise CommandFailed("\n".join(lines)) from error
    except KeyTaken as error:
        raise CommandFailed(f"{error} Do the same again.") from error
    except ModuleNotFoundError as error:
        raise CommandFailed(_NOT_SET_UP.format(module=error.name)) from error


def advice(code: str, place: Place) -> str:
    """Return one line: what happened, and what to do next."""
    named = f"table {place.table!r}" if place.table else f"stack {place.stack!r}"
    if place.table and place.stack:
        named += f" of stack {place.stack!r}"
    if place.region:
        named += f" in {place.region}"
    if place.endpoint_url:
        named += f" at {place.endpoint_url}"
    return _BY_CODE.get(code, _OTHER).format(code=code, place=named, Place=named[0].upper() + named[1:])
