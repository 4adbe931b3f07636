"""What goes wrong between `make invoke` and a function's reply."""


class CannotInvoke(Exception):
    """There is no reply; the text says what was expected, what came, and what to do next."""
