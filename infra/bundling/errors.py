"""What goes wrong while something is bundled."""


class BundleError(Exception):
    """A bundle cannot be built; the text says what was expected, what came, and what to do next."""
