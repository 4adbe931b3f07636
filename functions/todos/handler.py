"""The todo function: settings → store → app → adapter."""

from __future__ import annotations

import os

from lambda_stream import StreamingHandler

from .app import create_app
from .settings import Settings
from .store import PrismaStore

settings = Settings.from_environment(os.environ)
store = PrismaStore(settings.database_url, timeout_s=settings.query_timeout_s)
handler = StreamingHandler(create_app(settings, store))
