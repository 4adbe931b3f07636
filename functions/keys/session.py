"""One run of the command: where the keys are, and what to do if they cannot be reached."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

import click

from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.environment import SettingsError, count
from functions.shared.key_items import Replaced
from functions.shared.key_text import without_keys
from functions.shared.keys import Key, KeysRefused, KeysUnavailable, KeyThrottled
from functions.shared.limits import Counts, Running
from functions.shared.usage import KEEP_RECORDS_DAYS, UsageRecord, UsageSum

from .audit import log_change
from .books import Used
from .delivery import HeldSignals
from .history import Change
from .store import KeyTable, outputs_of
from .stored_keys import Listed

PROGRAM = "python -m functions.keys"
# A person at a command line waits longer than a caller of a function.
_LONGER = 10

_LONGEST_ACTOR = 128
# Only AWS's own endpoints know AWS's callers.
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")

_NO_TABLE = """\
No table was named. Say where the keys are, in one of three ways:
  --table NAME             the DynamoDB table itself
  KEYS_TABLE=NAME          the same, as a variable
  --stack NAME, or STACK   the CloudFormation stack, whose output KeysTable names the table"""


class Store(Protocol):
    """Where keys and usage are kept.

    Raises: KeysUnavailable, each of them.
    """

    on_change: Callable[[Key, Change], None] | None

    # keys
    def all_keys(self) -> list[Key]: ...
    def find(self, key_id: str) -> Key | None: ...
    def listed(self) -> list[Listed]: ...
    def replaced(self, key_id: str) -> list[Replaced]: ...
    def history(self, key_id: str) -> list[Change]: ...

    # changes of keys
    def add(self, key: Key, change: Change | None = None) -> None: ...
    def change(
        self, key_id: str, alter: Callable[[Key], Key], change: Change
    ) -> tuple[Key, Change] | None: ...
    def rotate(self, key_id: str, digest: str, hint: str, change: Change) -> Key | None: ...
    def end_replaced(self, key_id: str, at: int, change: Change) -> Key | None: ...
    def take_back(self, key_id: str, digest: str, before: str, change: Change) -> Key | None: ...
    def delete(self, key_id: str, kept_until: int, change: Change) -> Key | None: ...
    def restore(self, key_id: str, change: Change) -> Key | None: ...

    # what keys use
    def counts_of_all(self, key_ids: Iterable[str]) -> dict[str, Counts]: ...
    def running(self, key_id: str, now: float) -> list[Running]: ...
    def usage(
        self, key_id: str, since_ms: int, until_ms: int, *, newest: int | None = None
    ) -> Iterator[UsageRecord]: ...
    def sums(
        self, key_id: str, since_ms: int, until_ms: int, *, books: int = 1
    ) -> list[tuple[str, str, UsageSum]]: ...
    def settle_dead(self, key_ids: Iterable[str], now: float) -> None: ...
    def sums_of_all(self, keys: Iterable[Key], since_ms: int, until_ms: int) -> Iterator[Used]: ...
    def records_of(self, key_ids: Iterable[str], since_ms: int, until_ms: int) -> Iterator[UsageRecord]: ...
    def recount(self, keys: Sequence[Key], until_ms: int) -> int: ...

    # logs
    def put_usage(self, record: UsageRecord, *, period: str = "") -> bool: ...
    def caller(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class Location:
    """One table, or the stack whose output names it, or both; in one region, at one endpoint.

    Shape:  `models`: those that are deployed; None where they are not known.
            `keep_records_days`: for how long its stage keeps usage records.
    """

    table: str | None = None
    stack: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    models: frozenset[str] | None = None
    keep_records_days: int = KEEP_RECORDS_DAYS

    @classmethod
    def of(cls, options: Mapping[str, Any], environ: Mapping[str, str]) -> Location:
        """Return the location: an option wins over a variable, then a table over a stack.

        Raises: UsageError.
        """
        table, stack = options.get("table"), options.get("stack")
        if table and stack:
            raise click.UsageError("Expected --table or --stack, but got both. Leave one out.")
        if not table and not stack:
            table = environ.get("KEYS_TABLE")
            stack = None if table else environ.get("STACK")
        if not table and not stack:
            raise click.UsageError(_NO_TABLE)
        endpoint_url = options.get("endpoint") or environ.get("DYNAMODB_ENDPOINT") or None
        if endpoint_url and not _is_url(endpoint_url):
            raise click.UsageError(
                "Expected --endpoint (or DYNAMODB_ENDPOINT) to be a URL such as http://127.0.0.1:5000, but"
                f" got {endpoint_url!r}."
            )
        # boto3 itself reads only the second of these variables.
        region = (
            options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
        )
        try:
            days = count(environ.get("KEEP_RECORDS_DAYS") or str(KEEP_RECORDS_DAYS), "KEEP_RECORDS_DAYS")
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
        return cls(
            table=table or None,
            stack=stack or None,
            endpoint_url=endpoint_url,
            region=region,
            models=_models(environ.get("MODELS", "")),
            keep_records_days=days,
        )

    def __str__(self) -> str:
        text = f"table {self.table!r}" if self.table else f"stack {self.stack!r}"
        if self.table and self.stack:
            text += f" of stack {self.stack!r}"
        if self.region:
            text += f" in {self.region}"
        return f"{text} at {self.endpoint_url}" if self.endpoint_url else text


def connect(location: Location) -> tuple[Location, Store]:
    """Return the table, and its location with its name in it.

    Raises: KeysUnavailable.
    """
    aws, endpoint_url = Aws(Boto(region=location.region, longer=_LONGER)), location.endpoint_url
    if not location.table:
        outputs = outputs_of(location.stack or "", aws=aws, endpoint_url=endpoint_url)
        location = replace(location, table=outputs["KeysTable"])
        if "Models" in outputs:
            location = replace(location, models=frozenset(outputs["Models"].split(",")))
        if "KeepRecordsDays" in outputs:
            location = replace(location, keep_records_days=int(outputs["KeepRecordsDays"]))
    days = location.keep_records_days
    return location, KeyTable(
        location.table or "", aws=aws, endpoint_url=endpoint_url, keep_records_days=days
    )


@dataclass
class Session:
    """What a command works with.

    Shape:  `options`: those that every command has, as far as they were given: `table`, `stack`, `endpoint`,
            `region`, `json`.
    Units:  `now` s since 1970.
    """

    now: float
    variables: Mapping[str, str]
    connect: Callable[[Location], tuple[Location, Store]] = connect
    options: dict[str, Any] = field(default_factory=dict)
    held_signals: HeldSignals = field(default_factory=HeldSignals)

    @cached_property
    def location(self) -> Location:
        """Where the keys are.

        Raises: UsageError.
        """
        return Location.of(self.options, self.variables)

    @cached_property
    def store(self) -> Store:
        """The keys and the usage.

        Raises: UsageError; KeysUnavailable.
        """
        self.location, store = self.connect(self.location)
        store.on_change = log_change
        return store

    @cached_property
    def actor(self) -> str:
        """Who makes changes: `KEYS_ACTOR`, else who AWS says it is, else the user of this machine.

        Raises: UsageError; KeysUnavailable.
        """
        actor = self.variables.get("KEYS_ACTOR", "").strip()
        host = urlsplit(self.location.endpoint_url or "https://sts.amazonaws.com").hostname or ""
        if not actor and host.endswith(_AWS_HOSTS):
            actor = self.store.caller() or ""
        if not actor:
            try:
                user = getpass.getuser()
            except (KeyError, OSError):  # a container's user may have no name
                user = str(os.getuid())
            actor = f"{user}@{socket.gethostname()}"
        shown = "".join(each if each.isprintable() else "?" for each in actor)
        return without_keys(shown)[:_LONGEST_ACTOR]

    def change(self, command: str, *, after: Change | None = None) -> Change:
        """Return a new change that a command makes, for the history of a key; its second is `after` another.

        Raises: UsageError; KeysUnavailable.
        """
        at_ms = after.at_ms + 1 if after else int(self.now * 1000)
        return Change(id=secrets.token_hex(8), at_ms=at_ms, by=self.actor, command=command)


@contextmanager
def noted(text: str, *, unless_refused: bool = False) -> Iterator[None]:
    """Add a text to what is reported if the table is unavailable, or only if it did not refuse the call."""
    try:
        yield
    except KeysUnavailable as error:
        if not (unless_refused and isinstance(error, KeysRefused | KeyThrottled)):
            error.add_note(text)
        raise


def advice(code: str, location: Location) -> str:
    """Return one line for AWS's error code: what happened, and what to do next."""
    place = str(location)
    return _ADVICE.get(code, _OTHER).format(code=code, place=place, Place=place[0].upper() + place[1:])


def _models(text: str) -> frozenset[str] | None:
    """Return the models of the chat function's variable MODELS; None if it is not set, or no object."""
    with suppress(ValueError):
        models = json.loads(text)
        return (frozenset(models) or None) if isinstance(models, dict) else None
    return None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_CREDENTIALS = (
    "AWS did not get credentials that it accepts ({code}). Log in, as with `aws sso login`, or set"
    " AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for the table of make run, those that"
    " it prints."
)
_DENIED = (
    "AWS does not let you use {place} ({code}). Use another AWS_PROFILE, or get the permissions to read and"
    " write the table, and cloudformation:DescribeStacks if you give --stack."
)
_REGION = (
    "Expected the name of an AWS region ({code}). Give --region, as in --region eu-central-1, or set"
    " AWS_REGION."
)
_MISSING = (
    "There is no {place} ({code}). Check its name, and that --region and AWS_PROFILE are those of its stack."
)
_NO_STACK = "There is no {place} ({code}). Check its name, --region and AWS_PROFILE, or give --table."
_NO_OUTPUT = (
    "{Place} has no output KeysTable ({code}). Deploy it again, or give the table's name with --table."
)
_FOREIGN = (
    "{Place} did not accept the call ({code}): its name is wrong, or it is not a table of keys."
    " Check the name; it is the output KeysTable of the stack."
)
_BUSY = "DynamoDB accepts no more calls right now ({code}). Wait a minute, then run the same command again."
_UNREACHABLE = (
    "{Place} could not be reached ({code}). Check the network, --region, and --endpoint if you give one."
)
_OTHER = (
    "{Place} could not be used ({code}). Run the same command again; AWS's documentation explains the code."
)
_ADVICE = {
    code: text
    for text, codes in (
        (
            _CREDENTIALS,
            "NoCredentialsError PartialCredentialsError CredentialRetrievalError LoginError"
            " LoginInsufficientPermissions LoginTokenLoadError LoginRefreshRequired NoAuthTokenError"
            " SSOTokenLoadError SSOError UnauthorizedSSOTokenError TokenRetrievalError ProfileNotFound"
            " ExpiredToken ExpiredTokenException UnrecognizedClientException InvalidClientTokenId"
            " InvalidSignatureException SignatureDoesNotMatch MissingAuthenticationToken"
            " MissingAuthenticationTokenException IncompleteSignature IncompleteSignatureException",
        ),
        (_DENIED, "AccessDenied AccessDeniedException UnauthorizedOperation"),
        (_REGION, "NoRegionError InvalidRegionError UnknownRegionError"),
        (_MISSING, "ResourceNotFoundException"),
        (_NO_STACK, "ValidationError"),
        (_NO_OUTPUT, "OutputNotFound"),
        (_FOREIGN, "ValidationException ParamValidationError"),
        (
            _BUSY,
            "ProvisionedThroughputExceededException RequestLimitExceeded Throttling ThrottlingException"
            " TransactionInProgressException ConditionalCheckFailedException TransactionConflict"
            " TransactionConflictException ThrottlingError ProvisionedThroughputExceeded",
        ),
        (
            _UNREACHABLE,
            "EndpointConnectionError ConnectTimeoutError ReadTimeoutError ConnectionClosedError"
            " ProxyConnectionError SSLError HTTPClientError ConnectionError ResponseParserError",
        ),
    )
    for code in codes.split()
}
