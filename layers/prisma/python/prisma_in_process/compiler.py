"""Prisma's query compiler in this process: its WebAssembly module, and the JavaScript values that it asks for.

The module is made with wasm-bindgen for a JavaScript host. `_Host` is that host: the values it makes (objects,
maps, lists, dates) are Python's own, so what `compile` returns is a plan of dicts and lists.
"""

from __future__ import annotations

import json
import re
import struct
import time
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Func, Linker, Module, Store

# Told apart by wasm-bindgen's hash of the JavaScript that they stand for, where the name and the types are one.
_MAKES: dict[str, Any] = {
    "1acc0b6eea89d040": dict,
    "68651c719dcda04e": dict,
    "e17d9f43105b08be": list,
    "5a79be3ab53b8aa5": bytearray,
}
_HASH = re.compile(r"_[0-9a-f]{16}$")


class CompileError(Exception):
    """What the compiler says of a request: a message, Prisma's code, and what it is about."""

    def __init__(self, error: Any) -> None:
        known = isinstance(error, dict)
        super().__init__(error["message"] if known else str(error))
        self.code: str | None = error.get("code") if known else None
        self.meta: dict[str, Any] = (error.get("meta") or {}) if known else {}


class _Undefined:
    def __bool__(self) -> bool:
        return False


UNDEFINED = _Undefined()


class BigInt(int):
    """A whole number that JavaScript would hold as a BigInt."""


class _Now:
    def __init__(self) -> None:
        self.time = time.time() * 1000


def engine(target: str | None = None) -> Engine:
    config = Config()
    if target:
        config.target = target
    return Engine(config)


def precompile(wasm: Path, to: Path, target: str | None = None) -> None:
    """Translate the module ahead of time; `pulley64` runs on any processor."""
    to.write_bytes(Module.from_file(engine(target), str(wasm)).serialize())


class QueryCompiler:
    """Compiles a query, as Prisma's JSON protocol has it, to a plan."""

    def __init__(
        self, module: Path, datamodel: str, *, schema: str = "public", target: str | None = None
    ) -> None:
        self._engine = engine(target)
        self._store = Store(self._engine)
        self.calls = 0
        loaded = Module.deserialize_file(self._engine, str(module))
        linker = Linker(self._engine)
        for wanted in loaded.imports:
            name = _HASH.sub("", wanted.name)
            host = self._host(name, wanted.name[-16:], wanted.type)
            linker.define(self._store, wanted.module, wanted.name, Func(self._store, wanted.type, host))
        exports = linker.instantiate(self._store, loaded).exports(self._store)
        self._x = {
            name: exports[name]
            for name in (
                "__wbindgen_malloc",
                "__externref_table_dealloc",
                "querycompiler_new",
                "querycompiler_compile",
                "__wbindgen_start",
            )
        }
        self._memory, self._table = exports["memory"], exports["__wbindgen_externrefs"]
        self._call("__wbindgen_start")
        parameters = {
            "datamodel": datamodel,
            "provider": "postgres",
            "connectionInfo": {"schemaName": schema, "supportsRelationJoins": False},
        }
        self._compiler = self._result(*self._call("querycompiler_new", parameters))

    def compile(self, request: dict[str, Any]) -> Any:
        """Raises: CompileError."""
        data = json.dumps(request).encode()
        where = self._call("__wbindgen_malloc", len(data), 1)
        self._memory.write(self._store, data, where)
        return _whole(
            self._take(self._result(*self._call("querycompiler_compile", self._compiler, where, len(data))))
        )

    def _result(self, value: int, error: int, failed: int) -> int:
        if failed:
            raise CompileError(_whole(self._take(error)))
        return value

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._x[name](self._store, *arguments)

    def _take(self, index: int) -> Any:
        value = self._table.get(self._store, index)
        self._call("__externref_table_dealloc", index)
        return value

    def _text(self, where: int, length: int) -> str:
        where &= 0xFFFFFFFF
        return str(self._memory.read(self._store, where, where + length), "utf-8")

    def _give_text(self, out: int, text: str | None) -> None:
        where, data = 0, (text or "").encode()
        if text is not None:
            where = self._call("__wbindgen_malloc", len(data), 1)
            self._memory.write(self._store, data, where)
        self._memory.write(self._store, struct.pack("<II", where & 0xFFFFFFFF, len(data)), out)

    def _host(self, name: str, digest: str, kind: Any) -> Any:
        parameters = [str(each) for each in kind.params]
        if name == "__wbg_new":
            return _MAKES[digest]
        if name == "__wbg_set":
            if parameters[1] == "i32":
                return _set_item
            return _set_in_map if len(kind.results) else _set_member
        if name == "__wbindgen_cast":
            if parameters == ["i64"]:
                return BigInt
            return (lambda value: value) if parameters == ["f64"] else self._text
        plain = name.replace("__wbg_", "").replace("__wbindgen_", "")
        found = getattr(self, "_js_" + plain, None) or _HOST.get(plain)
        if found is None:

            def missing(*_: Any) -> None:
                raise RuntimeError(f"the compiler asked for {name}")

            return missing
        return found

    def _js_init_externref_table(self) -> None:
        offset = self._table.grow(self._store, 4, UNDEFINED)
        for index, value in enumerate((UNDEFINED, None, True, False)):
            self._table.set(self._store, offset + index, value)
        self._table.set(self._store, 0, UNDEFINED)

    def _js_Error(self, where: int, length: int) -> Exception:
        return RuntimeError(self._text(where, length))

    def _js_set_message(self, where: int, length: int) -> None:
        self.panic = self._text(where, length)

    def _js_throw(self, where: int, length: int) -> None:
        raise RuntimeError(self._text(where, length))

    def _js_String(self, out: int, value: Any) -> None:
        self._give_text(out, _js_string(value))

    def _js_string_get(self, out: int, value: Any) -> None:
        self._give_text(out, value if isinstance(value, str) else None)

    def _js_debug_string(self, out: int, value: Any) -> None:
        self._give_text(out, repr(value))

    def _js_number_get(self, out: int, value: Any) -> None:
        known = isinstance(value, (int, float)) and not isinstance(value, (bool, BigInt))
        self._memory.write(self._store, struct.pack("<iid", known, 0, float(value) if known else 0.0), out)

    def _js_prototypesetcall(self, where: int, length: int, value: Any) -> None:
        self._memory.write(self._store, bytes(value), where)


def _js_string(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _set_item(target: list[Any], index: int, value: Any) -> None:
    while len(target) <= index:
        target.append(UNDEFINED)
    target[index] = value


def _set_member(target: dict[str, Any], key: str, value: Any) -> None:
    target[key] = value


def _set_in_map(target: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    target[key] = value
    return target


def _get(target: Any, key: Any) -> Any:
    if isinstance(target, dict):
        return target.get(key, UNDEFINED)
    return target[key] if isinstance(target, (list, bytearray)) and 0 <= key < len(target) else UNDEFINED


def _nothing(value: Any) -> bool:
    return value is None or value is UNDEFINED


_HOST: dict[str, Any] = {
    "get": _get,
    "get_with_ref_key": _get,
    "entries": lambda target: [[key, value] for key, value in target.items()],
    "keys": lambda target: list(target),
    "length": len,
    "isSafeInteger": lambda value: int(
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and float(value).is_integer()
        and abs(value) < 2**53
    ),
    "Number": float,
    "new_0": _Now,
    "getTime": lambda value: value.time,
    "now": lambda: time.time() * 1000,
    "instanceof_Uint8Array": lambda value: int(isinstance(value, (bytearray, memoryview))),
    "instanceof_ArrayBuffer": lambda value: 0,
    "boolean_get": lambda value: int(value) if isinstance(value, bool) else 0xFFFFFF,
    "is_undefined": lambda value: int(value is UNDEFINED),
    "is_object": lambda value: int(isinstance(value, (dict, list, bytearray, Exception))),
    "is_string": lambda value: int(isinstance(value, str)),
    "is_function": lambda value: int(callable(value)),
    "in": lambda key, target: int(key in target),
    "jsval_loose_eq": lambda a, b: int((_nothing(a) and _nothing(b)) or a == b),
}


def _whole(value: Any) -> Any:
    """Turn JavaScript's values to JSON's: numbers that are whole, and nothing for `undefined`."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items() if each is not UNDEFINED}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value is UNDEFINED else value
