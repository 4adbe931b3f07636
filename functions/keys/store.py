"""The table of keys, limits and usage, as the commands use it. All methods block."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from functions.shared.aws import Aws, AwsError
from functions.shared.dynamodb import unavailable
from functions.shared.keys import KeysUnavailable

from .books import Books
from .stored_keys import StoredKeys

# How long AWS is waited for to name the caller.
_CALLER_WITHIN_S = 1.0


class KeyTable(StoredKeys, Books):
    """Keys, and what they have used."""

    def caller(self) -> str | None:
        """Return AWS's name of the caller, as `assumed-role/Admin/alice`; None if a second does not yield it.

        No permission is needed for that.
        """
        found: list[str] = []

        def identify() -> None:
            with suppress(AwsError):
                identity = self._aws.service("sts").call("get_caller_identity")
                found.append(identity["Arn"].split(":", 5)[-1])

        thread = Thread(target=identify, name="caller", daemon=True)
        thread.start()
        thread.join(_CALLER_WITHIN_S)
        return found[0] if found else None


def outputs_of(stack: str, *, aws: Aws, endpoint_url: str | None = None) -> dict[str, str]:
    """Return the outputs of a CloudFormation stack; `KeysTable` is the name of the table.

    Raises: KeysUnavailable; with the text `OutputNotFound` where the stack has no such output.
    """
    service = aws.service("cloudformation", endpoint_url=endpoint_url)
    try:
        response = service.call("describe_stacks", StackName=stack)
    except AwsError as error:
        raise unavailable(error) from None
    outputs = {each["OutputKey"]: each["OutputValue"] for each in response["Stacks"][0].get("Outputs", ())}
    if "KeysTable" not in outputs:
        raise KeysUnavailable("OutputNotFound")
    return outputs
