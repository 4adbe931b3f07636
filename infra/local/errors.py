class CannotStart(Exception):
    """Something that `make run` needs is missing or wrong; the text says what, and what to do next."""
