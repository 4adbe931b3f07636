"""What checks, limits and counts the callers of a function, as its settings have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aws import Aws
from .keys import Keyring
from .settings import AccessSettings
from .usage import KEEP_RECORDS_DAYS

if TYPE_CHECKING:
    from .table import Table


class Access:
    """The keyring, and the table of keys, limits and usage, which is None where keys are set without one."""

    def __init__(
        self, settings: AccessSettings, aws: Aws, *, keep_records_days: int = KEEP_RECORDS_DAYS
    ) -> None:
        self.table: Table | None = None
        if settings.keys_table:
            from .table import Table  # here: only functions with a table need it

            self.table = Table(
                settings.keys_table,
                aws=aws,
                endpoint_url=settings.dynamodb_endpoint,
                keep_records_days=keep_records_days,
            )
        self.keyring = Keyring.of(settings.keys, self.table)

    def warm(self) -> None:
        """Open a connection to the table, in a thread, where there is one."""
        if self.table:
            self.table.warm()
