"""What checks, limits and counts the callers of a function, as its settings have it."""

from __future__ import annotations

from .aws import Aws
from .keys import Keyring
from .settings import AccessSettings
from .table import Table


class Access:
    """The keyring, and the table of keys, limits and usage, which is None where keys are set without one."""

    def __init__(self, settings: AccessSettings, aws: Aws) -> None:
        name, endpoint_url = settings.keys_table, settings.dynamodb_endpoint
        self.table = Table(name, aws=aws, endpoint_url=endpoint_url) if name else None
        self.keyring = Keyring.of(settings.keys, self.table)

    def warm(self) -> None:
        """Start to import boto3 and to make the client, in a thread, where there is a table."""
        if self.table:
            self.table.warm()
