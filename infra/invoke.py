"""`make invoke EVENT=file [FUNCTION=chat|todos]`: one event through one function, both as they are deployed.

The function comes from its bundles and runs under AWS's own Runtime Interface Emulator, which `sam local
invoke` runs too, in a container. The reply goes to the output, whatever the function logs to the errors.
"""

import os
import sys
from collections.abc import Mapping

from infra.bundling.errors import BundleError
from infra.emulator.bundled_function import LAMBDAS_PYTHON, BundledFunction, available_version
from infra.emulator.emulator import emulator
from infra.emulator.errors import CannotInvoke
from infra.emulator.events import function_of, read_event
from infra.emulator.reply import Reply
from infra.emulator.variables import variables_of

_TIMEOUT_S = {"chat": 900, "todos": 30}


def main(environ: Mapping[str, str]) -> int:
    """Invoke the function and print its reply; return the exit status: 1 without a reply."""
    try:
        print(_invoke(environ).text())
    except (BundleError, CannotInvoke) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _invoke(environ: Mapping[str, str]) -> Reply:
    event = read_event(environ.get("EVENT", ""))
    name = function_of(event, environ.get("FUNCTION", ""))
    version = available_version()
    if version != LAMBDAS_PYTHON:
        _remark(
            f"Python {LAMBDAS_PYTHON}, which Lambda has, is not on this machine: {version} takes its place."
        )
    function = BundledFunction.build(name, version=version)
    variables = {**variables_of(name, function.task, environ), **function.variables()}
    with emulator(function.command(), variables, folder=function.task, timeout_s=_TIMEOUT_S[name]) as running:
        return Reply.read(running.invoke(event))


def _remark(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
