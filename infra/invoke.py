"""`make invoke EVENT=file [FUNCTION=chat|todos]`: one event through one function, as it is deployed.

The function comes from its bundles and runs under AWS's own Runtime Interface Emulator, which `sam local
invoke` runs too, in a container. The reply goes to stdout, the function's log to stderr.
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
        event = read_event(environ.get("EVENT", ""))
        name = function_of(event, environ.get("FUNCTION", ""))
        version = available_version()
        if version != LAMBDAS_PYTHON:
            print(
                f"Python {LAMBDAS_PYTHON}, as on Lambda, is not on this machine: {version} is used instead.",
                file=sys.stderr,
                flush=True,
            )
        function = BundledFunction.build(name, version=version)
        variables = {**variables_of(name, function.task, environ), **function.variables()}
        with emulator(
            function.command(), variables, folder=function.task, timeout_s=_TIMEOUT_S[name]
        ) as running:
            print(Reply.read(running.invoke(event)).text())
    except (BundleError, CannotInvoke) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
