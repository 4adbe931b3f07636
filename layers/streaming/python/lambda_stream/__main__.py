"""Started by the wrapper `lambda-stream`, as a script: sets the module search path, then runs `_runtime`.

A script, not `-m`, so that nothing has to be set which child processes would inherit.
"""

import os
import sys
from collections.abc import Mapping


def search_path(environ: Mapping[str, str], layer: str, rest: list[str]) -> list[str]:
    """Return the module search path as the stock runtime orders it.

    Shape:  the function, the layers, the managed runtime (boto3 lives there), the rest. The layers' versioned
            folder is left out where PYTHONPATH is set.
    """
    site = f"{layer}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    function = environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
    runtime = environ.get("LAMBDA_RUNTIME_DIR")
    layers = [layer] if "PYTHONPATH" in environ else [site, layer]
    return [function, *layers, *([runtime] if runtime else []), *rest]


if __name__ == "__main__":
    _layer = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = search_path(os.environ, _layer, sys.path[1:])

    from lambda_stream._runtime import main

    main(os.environ, sys.argv[1:])
