"""Models of a schema.prisma, as far as the generators of calls need them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "schemas"
SCALARS = frozenset({"String", "Int", "BigInt", "Float", "Decimal", "Boolean", "Json", "Bytes", "DateTime"})
_BLOCK = re.compile(r"^(model|enum) (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s+(\w+)\s+(\w+)(\[\]|\?)?(.*)$")
_KEY = re.compile(r"^\s+@@(id|unique)\(\[([^\]]*)\](?:, name: \"(\w+)\")?")
_LINK = re.compile(r"fields: \[([^\]]*)\], references: \[([^\]]*)\]")


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    many: bool
    optional: bool
    native: str  # "Date" of `@db.Date`
    id: bool
    unique: bool
    default: str
    updated: bool

    @property
    def generated(self) -> bool:
        """Whether a record gets it without being given it."""
        return bool(self.default) or self.updated


@dataclass(frozen=True)
class Relation:
    name: str
    to: str
    many: bool
    optional: bool
    columns: tuple[str, ...]  # of this model; empty where the other one has them


@dataclass
class Model:
    name: str
    fields: dict[str, Field] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the primary key first

    @property
    def accessor(self) -> str:
        """Name of the model's methods on the client."""
        return self.name.lower()

    @property
    def key(self) -> tuple[str, ...]:
        return next(iter(self.keys.values()))

    @property
    def linked(self) -> frozenset[str]:
        """Columns that a relation sets."""
        return frozenset(each for relation in self.relations.values() for each in relation.columns)


@dataclass
class Schema:
    name: str
    text: str
    models: dict[str, Model]
    enums: dict[str, list[str]]


def read(name: str) -> Schema:
    """Read a schema of this folder."""
    text = (FOLDER / f"{name}.prisma").read_text()
    blocks = _BLOCK.findall(text)
    enums = {
        name: re.findall(r"^\s+(\w+)", body, re.MULTILINE) for kind, name, body in blocks if kind == "enum"
    }
    models = {name: _model(name, body, enums) for kind, name, body in blocks if kind == "model"}
    return Schema(name, text, models, enums)


def _model(name: str, body: str, enums: dict[str, list[str]]) -> Model:
    model, keys = Model(name), {}
    for line in body.splitlines():
        if key := _KEY.match(line):
            columns = tuple(each.strip() for each in key[2].split(","))
            keys[key[3] or "_".join(columns)] = columns
        elif found := _FIELD.match(line):
            each, kind, arity, rest = found.groups()
            if kind in SCALARS or kind in enums:
                default = re.search(r"@default\((.*)\)", rest)
                native = re.search(r"@db\.(\w+)", rest)
                model.fields[each] = Field(
                    each, kind, arity == "[]", arity == "?", native[1] if native else "",
                    bool(re.search(r"@id\b", rest)), bool(re.search(r"@unique\b", rest)),
                    default[1] if default else "", "@updatedAt" in rest,
                )  # fmt: skip
            else:
                link = _LINK.search(rest)
                columns = tuple(each.strip() for each in link[1].split(",")) if link else ()
                model.relations[each] = Relation(each, kind, arity == "[]", arity == "?", columns)
    singles = {each.name: (each.name,) for each in model.fields.values() if each.id or each.unique}
    model.keys = dict(
        sorted({**singles, **keys}.items(), key=lambda pair: not _is_primary(model, pair[1], body))
    )
    return model


def _is_primary(model: Model, columns: tuple[str, ...], body: str) -> bool:
    if len(columns) == 1:
        return model.fields[columns[0]].id
    return f"@@id([{', '.join(columns)}]" in body
