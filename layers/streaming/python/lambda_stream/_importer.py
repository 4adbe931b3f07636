"""Finds the function's handler.

Source: awslambdaric 4.2.2, `_get_handler`, read 2026-11-22: the same names, the same error types.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from ._errors import Fault

Handler = Callable[[Any, Any], Any]


def import_handler(name: str) -> Handler:
    """Import `module.attribute`; a slash may stand for a dot in the module's name.

    Raises: Fault: what is wrong with the name, the module or the attribute.
    """
    module_name, dot, attribute = name.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': expected 'module.attribute'")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    module = _import(module_name)
    try:
        handler: Handler = getattr(module, attribute)
    except AttributeError as error:
        missing = f"Handler '{attribute}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", missing) from error
    return handler


def _import(name: str) -> object:
    try:
        return importlib.import_module(name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{name}': {error}") from error
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        message = f"Syntax error in module '{name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from error
