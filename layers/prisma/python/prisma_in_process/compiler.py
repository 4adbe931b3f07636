"""Prisma's query compiler in this process: its WebAssembly module on wasmtime.

The module is built by wasm-bindgen for a JavaScript host. Here, objects are dicts, arrays are lists, `null`
and `undefined` are None: a plan is what `json.loads` would return.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from wasmtime import Config, Engine, Func, FuncType, Linker, Module, Store, Trap, WasmtimeError

from .errors import UserError
from .generators import COMPILER

MODULE = Path(__file__).with_name("query_compiler.cwasm")


class CompilerFailure(Exception):
    """The compiler cannot be loaded, or it panicked."""


def precompile(wasm: Path, to: Path = MODULE) -> None:
    """Translate the module for every processor. The file is for the installed version of wasmtime only."""
    made = to.with_suffix(".new")
    made.write_bytes(Module.from_file(_engine(), str(wasm)).serialize())
    made.replace(to)  # engines that run have the old file in their memory


def _engine() -> Engine:
    config = Config()
    config.target = "pulley64"  # for wasmtime's interpreter, which runs on any processor
    return Engine(config)


class QueryCompiler:
    """Compiles requests of Prisma's JSON protocol to plans.

    Raises: CompilerFailure, also where it panics: then it cannot be used any more.
    """

    def __init__(self, datamodel: str, *, schema: str = "public", module: Path = MODULE) -> None:
        engine = _engine()
        try:
            loaded = Module.deserialize_file(engine, str(module))
        except WasmtimeError as error:
            raise CompilerFailure(
                f"expected {module.name} as this version of wasmtime makes it: in a checkout run `python3 "
                "infra/setup.py`, elsewhere install prisma-in-process again, with its dependencies "
                f"({str(error).splitlines()[-1].strip()})"
            ) from error
        self._store = Store(engine)
        linker, imports = Linker(engine), self._imports()
        for wanted in loaded.imports:
            name, kind = str(wanted.name), cast(FuncType, wanted.type)
            function = Func(self._store, kind, imports.get(name) or _missing(name))
            linker.define(self._store, wanted.module, name, function)
        exports: Any = linker.instantiate(self._store, loaded).exports(self._store)
        self._memory, self._values = exports["memory"], exports["__wbindgen_externrefs"]
        self._malloc, self._free_value = exports["__wbindgen_malloc"], exports["__externref_table_dealloc"]
        self._compile = exports["querycompiler_compile"]
        exports["__wbindgen_start"](self._store)
        parameters = {
            "datamodel": datamodel,
            "provider": "postgres",
            "connectionInfo": {"schemaName": schema, "supportsRelationJoins": False},
        }
        self._compiler = self._result(exports["querycompiler_new"], parameters)

    def compile(self, request: str) -> dict[str, Any]:
        """Return a request's plan. Raises: UserError with Prisma's code and details, CompilerFailure."""
        plan: dict[str, Any] = self._take(self._result(self._compile, self._compiler, *self._give(request)))
        return plan

    def _result(self, function: Func, *arguments: Any) -> int:
        try:
            value, error, failed = function(self._store, *arguments)
        except (Trap, WasmtimeError) as panic:
            raise _panic(str(panic)) from panic
        if not failed:
            return int(value)
        thrown = self._take(error)
        if not isinstance(thrown, dict):
            thrown = {"message": str(thrown)}
        raise UserError(thrown.get("code") or "P2009", thrown["message"], thrown.get("meta"))

    def _take(self, index: int) -> Any:
        value = self._values.get(self._store, index)
        self._free_value(self._store, index)
        return value

    def _text(self, where: int, length: int) -> str:
        where &= 0xFFFFFFFF
        return str(self._memory.read(self._store, where, where + length), "utf-8")

    def _give(self, text: str) -> tuple[int, int]:
        data = text.encode()
        where = self._malloc(self._store, len(data), 1) & 0xFFFFFFFF
        self._memory.write(self._store, data, where)
        return where, len(data)

    def _imports(self) -> dict[str, Callable[..., Any]]:
        """Return the functions that the module calls, by name, which ends in a hash of the JavaScript."""

        def give(out: int, value: Any) -> None:
            self._memory.write(self._store, struct.pack("<II", *self._give(str(value))), out)

        def throw(where: int, length: int) -> None:
            raise _panic(self._text(where, length))

        def start() -> None:
            constants = (None, None, True, False)
            first = self._values.grow(self._store, len(constants), None)
            for index, value in enumerate(constants, first):
                self._values.set(self._store, index, value)

        return {
            "__wbg_Error_e83987f665cf5504": self._text,
            "__wbg_String_8f0eb39a4a4c2f66": give,
            "__wbg___wbindgen_boolean_get_6d5a1ee65bab5f68": int,
            "__wbg___wbindgen_in_bb933bd9e1b3bc0f": lambda key, target: key in target,
            "__wbg___wbindgen_is_object_c818261d21f283a4": lambda value: isinstance(value, dict),
            "__wbg___wbindgen_is_string_fbb76cb2940daafd": lambda value: isinstance(value, str),
            "__wbg___wbindgen_is_undefined_2d472862bd29a478": lambda value: value is None,
            "__wbg___wbindgen_jsval_loose_eq_b664b38a2f582147": operator.eq,
            "__wbg___wbindgen_string_get_e4f06c90489ad01b": give,
            "__wbg___wbindgen_throw_b855445ff6a94295": throw,
            "__wbg_get_with_ref_key_1dc361bd10053bfe": dict.get,
            "__wbg_new_1acc0b6eea89d040": dict,
            "__wbg_new_e17d9f43105b08be": list,
            "__wbg_set_3f1d0b984ed272ed": operator.setitem,
            "__wbg_set_c213c871859d6500": list.insert,  # arrays are filled in order
            "__wbg_set_message_82ae475bb413aa5c": throw,
            "__wbindgen_cast_2241b6af4c4b2941": self._text,
            "__wbindgen_cast_d6cd19b81560fd6e": lambda number: int(number) if number.is_integer() else number,
            "__wbindgen_init_externref_table": start,
        }


def _panic(text: str) -> CompilerFailure:
    return CompilerFailure(f"{COMPILER} panicked: {text.splitlines()[0]}")


def _missing(name: str) -> Callable[..., Any]:
    """Return a function for what no request needs, and what another version of the module would."""

    def call(*_: Any) -> None:
        raise CompilerFailure(f"expected the imports of {COMPILER}, but the module calls {name!r}")

    return call
