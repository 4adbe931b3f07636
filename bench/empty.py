"""The least a function can be."""


def handler(event: object, context: object) -> None:
    """Do nothing."""
