"""What both functions log."""

from __future__ import annotations

import logging
import traceback


def log_unexpected(logger: logging.Logger, error: BaseException) -> None:
    """Log an error's class and place, without its text, which may quote what the caller sent."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
    logger.error("unexpected %s at %s", type(error).__name__, " < ".join(reversed(places)))
