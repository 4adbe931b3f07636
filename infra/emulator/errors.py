"""The error of `make invoke`."""


class CannotInvoke(Exception):
    """There is no reply; the text has what was expected, what came, and what to do next."""
