"""Random writes of a schema, nested ones too, and rows to begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.integration.prisma.equivalence.reads import Reads
from tests.integration.prisma.equivalence.schema import Field, Model, Relation
from tests.integration.prisma.equivalence.steps import Step

_DEEPEST = 2
_CALLS = {
    "create": 5,
    "update": 6,
    "upsert": 4,
    "delete": 2,
    "update_many": 2,
    "delete_many": 1,
    "create_many": 2,
}


class Writes(Reads):
    """Draws calls that change rows."""

    def step(self, model: Model) -> Step:
        """Draw a call."""
        call = self.random.choices(list(_CALLS), list(_CALLS.values()))[0]
        given: dict[str, Any] = {}
        if call == "create":
            given = {"data": self.record(model)}
        elif call == "update":
            given = {"where": self.key(model), "data": self.changes(model)}
        elif call == "upsert":
            where = self.key(model)
            create = self.record(model) | (self._columns(model, where) if self.maybe(0.7) else {})
            given = {"where": where, "data": {"create": create, "update": self.changes(model)}}
        elif call == "delete":
            given = {"where": self.key(model)}
        elif call == "create_many":
            given = {"data": [self.flat(model) for _ in range(self.random.randint(0, 4))]}
            if self.maybe(0.6):
                given["skip_duplicates"] = self.maybe(0.8)
        else:
            given = {"where": self.where(model, 1)} if self.maybe(0.95) or call != "delete_many" else {}
            if call == "update_many":
                given["data"] = self.scalars(model, changes=True)
        if call in ("create", "update", "upsert", "delete") and model.relations and self.maybe(0.6):
            given["include"] = self.include(model, 1)
        return {"on": model.accessor, "call": call, "with": given}

    def seeds(self) -> list[Step]:
        """Draw rows for all models, those that others need first."""
        steps = []
        for model in self.schema.models.values():
            rows = [self.flat(model) for _ in range(12)]
            given = {"data": rows, "skip_duplicates": True}
            steps.append({"on": model.accessor, "call": "create_many", "with": given})
            steps += [
                {"on": model.accessor, "call": "create", "with": {"data": self.record(model)}}
                for _ in range(4)
            ]
        return steps

    def _columns(self, model: Model, where: dict[str, Any]) -> dict[str, Any]:
        [(name, value)] = where.items()
        columns = value if name not in model.fields else where
        return {} if set(columns) & model.linked else dict(columns)

    def flat(self, model: Model) -> dict[str, Any]:
        """Draw a record by its columns alone."""
        given = self.scalars(model)
        for name in model.linked:
            each = model.fields[name]
            if not each.optional or self.maybe(0.6):
                given[name] = self.values.one(each)
        return given

    def record(self, model: Model, without: str = "", depth: int = 0) -> dict[str, Any]:
        """Draw a record, linked by relations or columns. `without`: the relation that it is made through."""
        by_columns = depth == 0 and self.maybe(0.3)
        given = self.flat(model) if by_columns else self.scalars(model)
        for relation in model.relations.values():
            if relation.name == without or (by_columns and relation.columns):
                continue
            needed = bool(relation.columns) and not relation.optional
            if needed or (depth < _DEEPEST and self.maybe(0.3)):
                given[relation.name] = self.links(relation, model, depth, new=True)
        return given

    def scalars(self, model: Model, *, changes: bool = False) -> dict[str, Any]:
        """Draw values for the columns that no relation sets."""
        given: dict[str, Any] = {}
        for each in model.fields.values():
            if each.name in model.linked:
                continue
            key = each.name in model.key
            needed = not changes and not (each.optional or each.many or each.generated)
            if needed or self.maybe((0.08 if changes else 0.25) if key else 0.3):
                given[each.name] = self._change(each) if changes else self._initial(each)
        return given

    def _initial(self, each: Field) -> Any:
        if each.many and self.maybe(0.4):
            return {"set": self.values.some(each)}
        if each.optional and each.type != "Json" and self.maybe(0.15):
            return None
        return self.values.whole(each)

    def _change(self, each: Field) -> Any:
        if each.many:
            return self.random.choice(
                [{"push": self.values.some(each)}, {"set": self.values.some(each)}, self.values.some(each)]
            )
        if each.optional and each.type != "Json" and self.maybe(0.15):
            return None
        if each.type in ("Int", "BigInt", "Float", "Decimal") and self.maybe(0.5):
            operation = self.random.choice(["increment", "decrement", "multiply", "divide", "set"])
            small: dict[str, list[Any]] = {
                "Int": [1, 2, 3],
                "BigInt": [1, 2],
                "Float": [0.5, 2],
                "Decimal": [{"$decimal": "2"}, {"$decimal": "0.5"}],
            }
            return {operation: self.random.choice(small[each.type])}
        return self.values.one(each)

    def changes(self, model: Model, without: str = "", depth: int = 0) -> dict[str, Any]:
        """Draw changes of a record, and of what it is linked to."""
        given = self.scalars(model, changes=True)
        for relation in model.relations.values():
            if relation.name != without and depth < _DEEPEST and self.maybe(0.3):
                given[relation.name] = self.links(relation, model, depth, new=False)
        return given

    def links(self, relation: Relation, model: Model, depth: int, *, new: bool) -> dict[str, Any]:
        """Draw nested writes through a relation."""
        to = self.schema.models[relation.to]
        back = self._opposite(relation, model, to)
        operations = ["create", "create", "connect", "connect", "connect_or_create"]
        if not new:
            operations += ["update", "upsert", "delete", "disconnect"]
            operations += ["set", "updateMany", "deleteMany", "set"] if relation.many else []
        elif relation.many and back and not to.relations[back].many:
            operations += ["createMany"]
        most = 2 if relation.many and self.maybe(0.25) else 1
        draw = self._nested(relation, to, back, depth + 1)
        return {name: draw[name]() for name in dict.fromkeys(self.random.choices(operations, k=most))}

    def _nested(self, relation: Relation, to: Model, back: str, depth: int) -> dict[str, Callable[[], Any]]:
        def some(draw: Callable[[], Any]) -> Callable[[], Any]:
            return lambda: [draw() for _ in range(self.random.randint(1, 2))] if relation.many else draw()

        def record() -> dict[str, Any]:
            return self.record(to, back, depth)

        def changes() -> dict[str, Any]:
            return self.changes(to, back, depth)

        def rows() -> list[dict[str, Any]]:
            given = to.relations[back].columns
            return [{k: v for k, v in self.flat(to).items() if k not in given} for _ in range(2)]

        def upsert() -> dict[str, Any]:
            both = {"create": record(), "update": changes()}
            return both | ({"where": self.key(to)} if relation.many else {})

        def key() -> dict[str, Any]:
            return self.key(to)

        def change() -> dict[str, Any]:
            return {"where": key(), "data": changes()} if relation.many else changes()

        return {
            "create": some(record),
            "createMany": lambda: {"data": rows(), "skipDuplicates": self.maybe(0.7)},
            "connect": some(key),
            "connect_or_create": some(lambda: {"where": key(), "create": record()}),
            "set": lambda: [key() for _ in range(self.random.randint(0, 2))],
            "disconnect": some(key) if relation.many else lambda: True,
            "delete": some(key) if relation.many else lambda: True,
            "update": some(change),
            "upsert": some(upsert),
            "updateMany": lambda: [{"where": self.where(to, 2), "data": self.scalars(to, changes=True)}],
            "deleteMany": lambda: [self.where(to, 2)],
        }

    def _opposite(self, relation: Relation, model: Model, to: Model) -> str:
        named = [
            each.name
            for each in to.relations.values()
            if each.to == model.name and each.name != relation.name
        ]
        tag = self._tag(model, relation.name)
        same = [name for name in named if self._tag(to, name) == tag]
        return same[0] if same else ""

    def _tag(self, model: Model, name: str) -> str:
        body = self.schema.text.partition(f"model {model.name} {{")[2].partition("\n}")[0]
        line = next(line for line in body.splitlines() if line.split()[:1] == [name])
        return line.partition('@relation("')[2].partition('"')[0]
