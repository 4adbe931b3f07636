"""The version of the whole project, as `pyproject.toml` has it: no bundle contains that file."""

VERSION = "0.8.0"
