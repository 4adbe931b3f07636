"""The error of bundling."""


class BundleError(Exception):
    """A bundle cannot be built; the text has what was expected, what came, and what to do next."""
