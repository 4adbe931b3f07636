"""Execution environments in which AWS_LAMBDA_EXEC_WRAPPER is honoured and /opt and /var/task lead somewhere.

ministack starts managed Python functions in a loop of its own that knows no wrapper. For custom runtimes it
has a Runtime API; a function with a wrapper is started on that one, as Lambda starts it:

    <folder>/            the function's package, as in /var/task
    ├── opt/             its layers, one over the other, as in /opt
    └── bootstrap        starts the wrapper with the interpreter's command line

The interpreter sees the package and the layers and no other package at all.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from tests.deploy.cloud.variables import variables_here

_BOOTSTRAP = """#!{python} -S
import os
task = os.getcwd()
environ = dict(os.environ, LAMBDA_TASK_ROOT=task)
for name, value in environ.items():
    if value.startswith("/opt/"):
        environ[name] = task + value
    elif value.startswith("/var/task/"):
        environ[name] = value.replace("/var/task", task, 1)
wrapper = environ["AWS_LAMBDA_EXEC_WRAPPER"]
os.execve(wrapper, [wrapper, {python!r}, "-S", "/var/runtime/bootstrap.py"], environ)
"""


def install(here: Mapping[str, Any]) -> None:
    """Start functions with a wrapper through it.

    Shape:  `here` is what `variables_here` takes, and `python`: the program for which bundles are built.
    """
    choose = lambda_runtime._worker_class_for

    class Wrapped(lambda_runtime.ProvidedWorker):  # type: ignore[misc]
        def __init__(self, name: str, config: Mapping[str, Any], package: bytes) -> None:
            layers = [lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers", [])]
            super().__init__(
                name, variables_here(config, here), as_on_lambda(package, layers, here["python"])
            )

        def invoke(self, event: Any, request_id: str, **kept: Any) -> Any:
            # Of ministack's own additions a custom runtime gets these two.
            names = ("trace_id", "invoked_function_arn")
            return super().invoke(event, request_id, **{name: kept.get(name) for name in names})

    class Changed(lambda_runtime.Worker):  # type: ignore[misc]
        def __init__(self, name: str, config: Mapping[str, Any], package: bytes) -> None:
            super().__init__(name, variables_here(config, here), package)

    def chosen(config: Mapping[str, Any]) -> type:
        kind: type = choose(config)
        if kind is not lambda_runtime.Worker:
            return kind
        return Wrapped if "AWS_LAMBDA_EXEC_WRAPPER" in lambda_svc._runtime_env_vars(config) else Changed

    lambda_runtime._worker_class_for = chosen
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": _Package})


class _Package(zipfile.ZipFile):
    """A package whose programs can be run once it is unpacked; ministack forgets which they are."""

    def extractall(self, path: Any = None, *_: Any) -> None:
        lambda_svc._extract_zip_preserving_mode(self, path)


def as_on_lambda(package: bytes, layers: Iterable[bytes], python: str) -> bytes:
    """Return a package that holds the function, its layers under `opt`, and what starts the wrapper."""
    files = _files(package, "")
    for layer in layers:
        files |= _files(layer, "opt/")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for info, content in files.values():
            archive.writestr(info, content)
        archive.writestr("bootstrap", _BOOTSTRAP.format(python=python))
    return whole.getvalue()


def _files(package: bytes, folder: str) -> dict[str, tuple[zipfile.ZipInfo, bytes]]:
    found = {}
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for info in archive.infolist():
            content = archive.read(info)
            info.filename, info.compress_type = f"{folder}{info.filename}", zipfile.ZIP_STORED
            found[info.filename] = (info, content)
    return found
