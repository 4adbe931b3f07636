"""The plans of a schema: made ahead of time, or compiled when they are first needed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from . import requests
from .errors import UserError
from .plans import Plan, page

_MODULE = Path(__file__).with_name("query_compiler.cwasm")
_TARGET = "pulley64"
_MOST_PLANS = 500


class Plans:
    """The plans of a schema: those made ahead of time, and those that the compiler makes when they are asked for."""

    def __init__(self, datamodel: str, schema: str, ahead: Path | None = None) -> None:
        self._datamodel, self._schema = datamodel, schema
        self._enums = requests.enum_fields(datamodel)
        self._compiler: Any = None
        self._ready: dict[tuple[str, bool], Plan] = {}
        self._literal: dict[str, list[list[Any]] | None] = {}
        self._made: dict[str, Any] = {}
        self.digest = hashlib.sha256(f"{schema}\n{datamodel}".encode()).hexdigest()
        self.compiled = 0
        if ahead and ahead.exists():
            made = json.loads(ahead.read_bytes())
            if made["digest"] == self.digest:
                self._made, self._literal = made["plans"], made["literal"]

    def of(self, builder: Any) -> tuple[Plan, dict[str, Any]]:
        """Return a call's plan and the plan's values. Raises: UserError."""
        request = requests.request(builder, enums=self._enums)
        key = request.key
        if key in self._literal:
            known = self._literal[key]
            paths = None if known is None else frozenset(tuple(path) for path in known)
            request = requests.request(builder, paths, self._enums)
            key = request.key
        ready = self._ready.get((key, request.typed))
        if ready is None:
            plan = self._made.get(key)
            if plan is None:
                request, plan = self._make(builder, request)
                key = request.key
            ready = Plan(plan, typed=request.typed)
            if len(self._ready) >= _MOST_PLANS:
                self._ready.clear()
            self._ready[key, request.typed] = ready
        return ready, request.values

    def _make(self, builder: Any, first: requests.Request) -> tuple[requests.Request, Any]:
        """Compile a request; where its shape is not one that the compiler takes, with more of its values in it."""
        request, literal = first, frozenset[requests.Path]()
        for _ in range(4):
            try:
                plan = self._compile(request)
            except UserError as error:
                more = _blamed(error.body["user_facing_error"]["meta"], request.body) - literal
                if not more:
                    break
                literal |= more
                request = requests.request(builder, literal, self._enums)
            else:
                if literal:
                    self._literal[first.key] = [list(path) for path in sorted(literal, key=str)]
                self._made[request.key] = plan
                return request, plan
        request = requests.request(builder, None)
        plan = self._compile(request)
        self._literal[first.key] = None
        return request, plan

    def _compile(self, request: requests.Request) -> Any:
        import wasmtime

        from .compiler import CompileError, QueryCompiler

        if self._compiler is None:
            self._compiler = QueryCompiler(_MODULE, self._datamodel, schema=self._schema, target=_TARGET)
        self.compiled += 1
        try:
            plan = self._compiler.compile(request.body)
        except CompileError as error:
            raise UserError(error.code or "P2009", str(error), error.meta) from None
        except (RuntimeError, wasmtime.WasmtimeError, wasmtime.Trap):
            # It panicked; what its memory holds now is anybody's guess.
            self._compiler = None
            raise
        if request.pages:
            plan = page(plan, {number: name for name, number in request.pages.items()})
        return plan

    def save(self, to: Path) -> None:
        to.write_text(json.dumps({"digest": self.digest, "plans": self._made, "literal": self._literal}))


def _blamed(meta: dict[str, Any], body: dict[str, Any]) -> frozenset[requests.Path]:
    """Return the paths to the values that a compiler's error names and that are parameters."""
    found = set()
    for error in meta.get("errors", [meta]):
        if "errors" in error:
            found |= _blamed(error, body)
        elif "argumentPath" in error:
            selected, where = body["query"], tuple(error["argumentPath"])
            prefix = tuple(error.get("selectionPath", [])[1:])
            for each in prefix:
                selected = selected["selection"][each]
            found |= {prefix + path for path in _parameters(selected["arguments"]) if _is_at(path, where)}
    return frozenset(found)


def _is_at(path: requests.Path, where: requests.Path) -> bool:
    # The compiler names no places in lists.
    return tuple(each for each in path if isinstance(each, str))[: len(where)] == where


def _parameters(value: Any, path: requests.Path = ()) -> list[requests.Path]:
    if isinstance(value, dict):
        if value.get("$type") == "Param":
            return [path]
        return [found for key, each in value.items() for found in _parameters(each, (*path, key))]
    if isinstance(value, list):
        return [found for index, each in enumerate(value) for found in _parameters(each, (*path, index))]
    return []
