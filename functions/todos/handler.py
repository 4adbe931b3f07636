"""The todo function: settings → keys, store → app → adapter."""

from __future__ import annotations

import os

from lambda_stream import StreamingHandler

from functions.shared.keys import Keyring
from functions.shared.table import Table

from .app import create_app
from .settings import Settings
from .store import PrismaStore

settings = Settings.from_environment(os.environ)
store = PrismaStore(settings.database_url, timeout_s=settings.query_timeout_s)
table = Table(settings.keys_table, endpoint_url=settings.dynamodb_endpoint) if settings.keys_table else None
handler = StreamingHandler(create_app(settings, store, Keyring(table) if table else None, table))
if table:
    table.warm()
