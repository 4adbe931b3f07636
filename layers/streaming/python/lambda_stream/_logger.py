"""The runtime's own log lines, which no configuration of the app can switch off.

`logging.config` disables the loggers that it finds, and an app may replace handlers or raise levels. This
logger is registered nowhere, so none of that reaches it. The runtime gives it a handler of its own. On the
stock runtime it keeps those that the root logger has at its import, Lambda's, or else writes to stderr.
"""

from __future__ import annotations

import logging


class RuntimeLogger(logging.Logger):
    """A logger outside the tree of loggers."""

    def __init__(self) -> None:
        super().__init__("lambda_stream", logging.WARNING)
        lambdas = [each for each in logging.getLogger().handlers if type(each) is not logging.NullHandler]
        self.handlers = lambdas or [logging.lastResort or logging.StreamHandler()]

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Return whether a level is logged, `logging.disable` notwithstanding."""
        return level >= self.level


logger = RuntimeLogger()
