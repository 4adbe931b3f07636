"""The runtime's own log lines, which no configuration of the app can switch off.

`logging.config` disables the loggers that it finds, and an app may replace handlers or raise levels. This
logger is registered nowhere, so none of that reaches it. The runtime gives it a handler of its own; elsewhere
its lines go to the root logger's handlers.
"""

from __future__ import annotations

import logging


class RuntimeLogger(logging.Logger):
    """A logger outside the tree of loggers."""

    def __init__(self) -> None:
        super().__init__("lambda_stream", logging.WARNING)
        self.parent = logging.getLogger()

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Return whether a level is logged, `logging.disable` notwithstanding."""
        return level >= self.level


logger = RuntimeLogger()
