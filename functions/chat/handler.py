"""The chat function: settings → keys, engine → app → adapter."""

from __future__ import annotations

import os
from functools import partial

from lambda_stream import StreamingHandler

from functions.shared.keys import Keyring
from functions.shared.table import Table

from .app import create_app
from .backend import HttpEngine
from .metering import Meter
from .settings import Settings

settings = Settings.from_environment(os.environ)
table = Table(settings.keys_table, endpoint_url=settings.dynamodb_endpoint) if settings.keys_table else None
emit = partial(print, flush=True)
meter = Meter(ledger=table, usage=table, emit=emit if settings.metrics else None)
keyring = Keyring(table) if table else None
handler = StreamingHandler(create_app(settings, HttpEngine(settings), keyring, meter))
if table:
    table.warm()
