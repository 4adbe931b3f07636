"""The chat function: settings → engine → app → adapter."""

from __future__ import annotations

import os

from lambda_stream import StreamingHandler

from .app import create_app
from .backend import HttpEngine
from .settings import Settings

settings = Settings.from_environment(os.environ)
handler = StreamingHandler(create_app(settings, HttpEngine(settings)))
