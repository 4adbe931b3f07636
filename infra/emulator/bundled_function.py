"""A function as it is deployed, from its bundles, on this machine."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.bundling.cache import BundleCache
from infra.bundling.errors import BundleError
from infra.bundling.interpreter import find_python
from infra.bundling.python_recipes import dependencies_recipe, function_recipe, streaming_recipe
from infra.emulator.binary import this_architecture

LAMBDAS_PYTHON = "3.13"


@dataclass(frozen=True, kw_only=True)
class BundledFunction:
    """A function's bundles; `task` has its code, `layers` what Lambda merges into /opt, the runtime first."""

    name: str
    python: str
    task: Path
    layers: tuple[Path, ...]

    @classmethod
    def build(cls, name: str, *, version: str) -> Self:
        """Build it for this machine's processor and a version of Python.

        Raises: BundleError; CannotInvoke, on a processor that Lambda does not have.
        """
        cache, python = BundleCache(), find_python(version)
        dependencies = dependencies_recipe(name, architecture=this_architecture(), python=version)
        return cls(
            name=name,
            python=python,
            task=cache.get(function_recipe(name, python=version)),
            layers=(cache.get(streaming_recipe(python=version)), cache.get(dependencies)),
        )

    def command(self) -> list[str]:
        """Return what Lambda runs given AWS_LAMBDA_EXEC_WRAPPER; -S: without this Python's own packages."""
        wrapper, handler = self.layers[0] / "lambda-stream", f"functions.{self.name}.handler.handler"
        return [str(wrapper), self.python, "-S", "/var/runtime/bootstrap.py", handler]

    def variables(self) -> Mapping[str, str]:
        """Return what leads it to its code."""
        packages = os.pathsep.join(str(layer / "python") for layer in self.layers)
        return {"LAMBDA_TASK_ROOT": str(self.task), "PYTHONPATH": packages, "PYTHONNOUSERSITE": "1"}


def available_version() -> str:
    """Return Lambda's version of Python where this machine has it, else that of this Python."""
    try:
        find_python(LAMBDAS_PYTHON, download=False)
    except BundleError:
        return "{}.{}".format(*sys.version_info[:2])
    return LAMBDAS_PYTHON
