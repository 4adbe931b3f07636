"""Where the keys are: what the command line says of it, else what the environment does."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import UsageError

_NO_TABLE = """\
No table was named. Say where the keys are, in one of three ways:
  --table NAME             the DynamoDB table itself
  KEYS_TABLE=NAME          the same, as a variable
  --stack NAME, or STACK   the CloudFormation stack, whose output KeysTable names the table"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One table, or the stack whose output names it, or both; and which AWS has it."""

    table: str | None
    stack: str | None
    endpoint_url: str | None
    region: str | None

    @classmethod
    def from_arguments(cls, arguments: Namespace, environ: Mapping[str, str]) -> Place:
        """Return the place: a flag wins over a variable, a table over a stack.

        Raises: UsageError.
        """
        if arguments.table and arguments.stack:
            raise UsageError("Expected --table or --stack, but got both: leave one out.")
        table, stack = arguments.table, arguments.stack
        if not table and not stack:
            table = environ.get("KEYS_TABLE")
            stack = None if table else environ.get("STACK")
        if not table and not stack:
            raise UsageError(_NO_TABLE)
        endpoint_url = arguments.endpoint or environ.get("DYNAMODB_ENDPOINT") or None
        if endpoint_url and not _is_address(endpoint_url):
            raise UsageError(
                f"Expected --endpoint (or DYNAMODB_ENDPOINT) to be an address such as http://127.0.0.1:5000,"
                f" but got {endpoint_url!r}."
            )
        # boto3 itself reads only the second of these variables.
        region = arguments.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
        return cls(table=table or None, stack=stack or None, endpoint_url=endpoint_url, region=region)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
