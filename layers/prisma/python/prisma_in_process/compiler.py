"""Prisma's query compiler in this process: its WebAssembly module on wasmtime.

The module is built by wasm-bindgen for a JavaScript host. Here, objects and maps are dicts, arrays are lists,
`null` is None: a plan is what `json.loads` would return. The host is for one version
of the module: another one that imports something else is refused.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from wasmtime import Config, Engine, Func, FuncType, Linker, Memory, Module, Store, Table, Trap, WasmtimeError

from .generators import COMPILER

MODULE = Path(__file__).with_name("query_compiler.cwasm")
# Code for wasmtime's interpreter, which runs on any processor.
_TARGET = "pulley64"
_Export = TypeVar("_Export")


class CompileError(Exception):
    """The compiler refuses a request. Shape: `code` and `meta` as Prisma has them."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code: str = error.get("code") or "P2009"
        self.meta: dict[str, Any] = error.get("meta") or {}


class CompilerFailure(Exception):
    """The compiler cannot be loaded, or it panicked."""


def precompile(wasm: Path, to: Path = MODULE) -> None:
    """Translate the module for every processor. The file is for the installed version of wasmtime only."""
    made = to.with_suffix(".new")
    made.write_bytes(Module.from_file(_engine(), str(wasm)).serialize())
    made.replace(to)  # engines that run have the old file in their memory


def _engine() -> Engine:
    config = Config()
    config.target = _TARGET
    return Engine(config)


def _load(engine: Engine, module: Path) -> Module:
    advice = (
        f"expected {module.name} as this version of wasmtime makes it, but {{}}: in a checkout run "
        "`python3 infra/setup.py`, elsewhere install prisma-in-process again, with its dependencies"
    )
    if not module.exists():
        raise CompilerFailure(advice.format("there is no such file"))
    try:
        return Module.deserialize_file(engine, str(module))
    except WasmtimeError as error:
        raise CompilerFailure(advice.format(str(error).splitlines()[-1].strip())) from error


class _Thrown(Exception):
    """What a host would throw as JavaScript's Error."""


class QueryCompiler:
    """Compiles requests of Prisma's JSON protocol to plans.

    Raises: CompilerFailure, also where it panics: then it cannot be used any more.
    """

    def __init__(self, datamodel: str, *, schema: str = "public", module: Path = MODULE) -> None:
        engine = _engine()
        loaded = _load(engine, module)
        self._store = Store(engine)
        linker, imports = Linker(engine), self._imports()
        for wanted in loaded.imports:
            name, kind = wanted.name or "", wanted.type
            if name not in imports or not isinstance(kind, FuncType):
                raise CompilerFailure(f"expected the imports of {COMPILER}, but the module wants {name!r}")
            linker.define(self._store, wanted.module, name, Func(self._store, kind, imports[name]))
        exports = linker.instantiate(self._store, loaded).exports(self._store)

        def export(name: str, kind: type[_Export]) -> _Export:
            found = exports[name]
            if not isinstance(found, kind):
                raise CompilerFailure(f"expected the exports of {COMPILER}, but the module has no {name!r}")
            return found

        self._memory, self._values = export("memory", Memory), export("__wbindgen_externrefs", Table)
        self._malloc = export("__wbindgen_malloc", Func)
        self._free_value = export("__externref_table_dealloc", Func)
        self._compile = export("querycompiler_compile", Func)
        export("__wbindgen_start", Func)(self._store)
        parameters = {
            "datamodel": datamodel,
            "provider": "postgres",
            "connectionInfo": {"schemaName": schema, "supportsRelationJoins": False},
        }
        self._compiler = self._result(export("querycompiler_new", Func), parameters)

    def compile(self, request: str) -> dict[str, Any]:
        """Return a request's plan. Raises: CompileError, CompilerFailure."""
        index = self._result(self._compile, self._compiler, *self._give(request))
        plan: dict[str, Any] = _plain(self._take(index))
        return plan

    def _result(self, function: Func, *arguments: Any) -> int:
        try:
            value, error, failed = function(self._store, *arguments)
        except (Trap, WasmtimeError, _Thrown) as panic:
            raise CompilerFailure(f"{COMPILER} panicked: {str(panic).splitlines()[0]}") from panic
        if not failed:
            return int(value)
        thrown = self._take(error)
        raise CompileError(_plain(thrown) if isinstance(thrown, dict) else {"message": str(thrown)})

    def _take(self, index: int) -> Any:
        value = self._values.get(self._store, index)
        self._free_value(self._store, index)
        return value

    def _text(self, where: int, length: int) -> str:
        where &= 0xFFFFFFFF
        return self._memory.read(self._store, where, where + length).decode()

    def _give(self, text: str) -> tuple[int, int]:
        data = text.encode()
        where = self._malloc(self._store, len(data), 1) & 0xFFFFFFFF
        self._memory.write(self._store, data, where)
        return where, len(data)

    def _imports(self) -> dict[str, Callable[..., Any]]:
        """Return the host's functions by name, which ends in a hash of the JavaScript in their place."""

        def write(layout: str, out: int, *values: Any) -> None:
            self._memory.write(self._store, struct.pack(layout, *values), out)

        def give(out: int, text: str | None) -> None:
            write("<II", out, *((0, 0) if text is None else self._give(text)))

        def give_number(out: int, value: Any) -> None:
            known = _is_number(value)
            write("<iid", out, known, 0, float(value) if known else 0.0)

        def give_string(out: int, value: Any) -> None:
            whole = isinstance(value, float) and value.is_integer()
            give(out, str(value).lower() if isinstance(value, bool) else str(int(value) if whole else value))

        def throw(where: int, length: int) -> None:
            raise _Thrown(self._text(where, length))

        def start() -> None:
            constants = (UNDEFINED, None, True, False)
            first = self._values.grow(self._store, len(constants), UNDEFINED)
            for index, value in enumerate(constants, first):
                self._values.set(self._store, index, value)
            self._values.set(self._store, 0, UNDEFINED)

        return _IMPORTS | {
            "__wbg_Error_e83987f665cf5504": lambda where, length: _Thrown(self._text(where, length)),
            "__wbg_String_8f0eb39a4a4c2f66": give_string,
            "__wbg___wbindgen_debug_string_df47ffb5e35e6763": lambda out, value: give(out, repr(value)),
            "__wbg___wbindgen_number_get_a20bf9b85341449d": give_number,
            "__wbg___wbindgen_string_get_e4f06c90489ad01b": lambda out, value: give(
                out, value if isinstance(value, str) else None
            ),
            "__wbg___wbindgen_throw_b855445ff6a94295": throw,
            "__wbg_prototypesetcall_2a6620b6922694b2": lambda where, length, value: self._memory.write(
                self._store, bytes(value[:length]), where
            ),
            "__wbg_set_message_82ae475bb413aa5c": throw,
            "__wbindgen_cast_2241b6af4c4b2941": self._text,
            "__wbindgen_init_externref_table": start,
        }


class _Undefined:
    def __bool__(self) -> bool:
        return False


UNDEFINED = _Undefined()


class _BigInt(int):
    """JavaScript's BigInt, which is not a number there."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, (bool, _BigInt))


def _is_safe_integer(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer() and abs(value) < 2**53


def _is_object(value: Any) -> bool:
    return isinstance(value, (dict, list, bytearray, Exception))


def _get(target: Any, key: Any) -> Any:
    try:
        return target[key]
    except LookupError:
        return UNDEFINED


def _set(target: Any, key: Any, value: Any) -> None:
    if isinstance(target, list) and key == len(target):
        target.append(value)
    else:
        target[key] = value


def _set_in_map(target: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    target[key] = value
    return target


def _loosely_equal(left: Any, right: Any) -> bool:
    absent = [each is None or each is UNDEFINED for each in (left, right)]
    return all(absent) or (not any(absent) and left == right)


_IMPORTS: dict[str, Callable[..., Any]] = {
    "__wbg_Number_bb48ca12f395cd08": float,
    "__wbg___wbindgen_boolean_get_6d5a1ee65bab5f68": lambda value: (
        int(value) if isinstance(value, bool) else 0xFFFFFF
    ),
    "__wbg___wbindgen_in_bb933bd9e1b3bc0f": lambda key, target: key in target,
    "__wbg___wbindgen_is_object_c818261d21f283a4": _is_object,
    "__wbg___wbindgen_is_string_fbb76cb2940daafd": lambda value: isinstance(value, str),
    "__wbg___wbindgen_is_undefined_2d472862bd29a478": lambda value: value is UNDEFINED,
    "__wbg___wbindgen_jsval_loose_eq_b664b38a2f582147": _loosely_equal,
    "__wbg_entries_e171b586f8f6bdbf": lambda target: [list(each) for each in target.items()],
    "__wbg_getTime_14776bfb48a1bff9": lambda moment: moment,
    "__wbg_get_7bed016f185add81": _get,
    "__wbg_get_with_ref_key_1dc361bd10053bfe": _get,
    "__wbg_instanceof_ArrayBuffer_70beb1189ca63b38": lambda _: 0,
    "__wbg_instanceof_Uint8Array_20c8e73002f7af98": lambda value: isinstance(value, bytearray),
    "__wbg_isSafeInteger_d216eda7911dde36": _is_safe_integer,
    "__wbg_length_69bca3cb64fc8748": len,
    "__wbg_length_cdd215e10d9dd507": len,
    "__wbg_new_0_f9740686d739025c": lambda: time.time() * 1000,
    "__wbg_new_1acc0b6eea89d040": dict,
    "__wbg_new_5a79be3ab53b8aa5": bytearray,
    "__wbg_new_68651c719dcda04e": dict,
    "__wbg_new_e17d9f43105b08be": list,
    "__wbg_set_3f1d0b984ed272ed": _set,
    "__wbg_set_907fb406c34a251d": _set_in_map,
    "__wbg_set_c213c871859d6500": _set,
    "__wbindgen_cast_4625c577ab2ec9ee": lambda value: _BigInt(value & 0xFFFFFFFFFFFFFFFF),
    "__wbindgen_cast_9ae0607507abb057": _BigInt,
    "__wbindgen_cast_d6cd19b81560fd6e": lambda value: value,
}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: whole numbers as int, `undefined` as None."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value is UNDEFINED else value
