"""Random reads of a schema."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.integration.prisma.equivalence.schema import Field, Model, Schema
from tests.integration.prisma.equivalence.steps import Step
from tests.integration.prisma.equivalence.values import TEXTS, Values

_ORDERED = frozenset({"String", "Int", "BigInt", "Float", "Decimal", "DateTime"})
_NUMBERS = ("Int", "BigInt", "Float", "Decimal")
_DEEPEST = 2


class Reads:
    """Draws calls that change nothing."""

    def __init__(self, random: Random, schema: Schema) -> None:
        self.random = random
        self.schema = schema
        self.values = Values(random, schema)

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    def step(self, model: Model) -> Step:
        """Draw a call."""
        draw = self.random.choices((self.find, self.unique, self.count, self.group), (10, 2, 3, 4))[0]
        call, given = draw(model)
        return {"on": model.accessor, "call": call, "with": given}

    def find(self, model: Model) -> tuple[str, dict[str, Any]]:
        call = self.random.choices(("find_many", "find_first", "find_first_or_raise"), (8, 2, 1))[0]
        given: dict[str, Any] = {"order": self.order(model)} | self.page(model, call == "find_many")
        if self.maybe(0.75):
            given["where"] = self.where(model)
        if self.maybe(0.4):
            given["include"] = self.include(model)
        return call, given

    def unique(self, model: Model) -> tuple[str, dict[str, Any]]:
        given: dict[str, Any] = {"where": self.key(model)}
        if self.maybe(0.5):
            given["include"] = self.include(model)
        return self.random.choice(("find_unique", "find_unique_or_raise")), given

    def count(self, model: Model) -> tuple[str, dict[str, Any]]:
        given: dict[str, Any] = {}
        if self.maybe(0.7):
            given["where"] = self.where(model)
        if self.maybe(0.3):
            given |= {"take": self.random.randint(1, 5), "skip": self.random.randint(0, 3)}
        if self.maybe(0.2):
            given["cursor"] = self.key(model)
        if self.maybe(0.4):
            given["select"] = dict.fromkeys(self.random.sample(["_all", *model.fields], 2), True)
        return "count", given

    def group(self, model: Model) -> tuple[str, dict[str, Any]]:
        plain = [each for each in model.fields.values() if not each.many and each.type != "Json"]
        by = [each.name for each in self.random.sample(plain, self.random.randint(1, min(2, len(plain))))]
        given: dict[str, Any] = {"by": by, "order": [{name: self.direction()} for name in by]}
        if self.maybe(0.7):
            given["count"] = self.random.choice([True, {"_all": True, by[0]: True}])
        numbers = [each.name for each in plain if each.type in _NUMBERS]
        if numbers and self.maybe(0.7):
            given |= {
                name: {self.random.choice(numbers): True} for name in self.random.sample(["sum", "avg"], 1)
            }
        if self.maybe(0.6):
            ordered = [
                each.name for each in plain if each.type in _ORDERED and each.native not in ("Uuid", "Xml")
            ]
            given[self.random.choice(["min", "max"])] = {self.random.choice(ordered): True}
        if self.maybe(0.3):
            given["where"] = self.where(model)
        if self.maybe(0.3) and numbers:
            name = self.random.choice(numbers)
            aggregate = self.random.choice(["_sum", "_avg", "_min", "_max", "_count"])
            limit = (
                self.random.randint(0, 3) if aggregate == "_count" else self.values.one(model.fields[name])
            )
            given["having"] = {name: {aggregate: {self.random.choice(["gt", "lte", "not", "equals"]): limit}}}
        if self.maybe(0.2):
            given |= {"take": self.random.choice([1, 2, -2]), "skip": self.random.randint(0, 2)}
        return "group_by", given

    def direction(self) -> str:
        return self.random.choice(["asc", "desc"])

    def order(self, model: Model, chance: float = 0.6) -> list[dict[str, Any]]:
        """Draw an order that leaves no two rows equal."""
        names = [
            each.name for each in model.fields.values() if each.type != "Json" and each.name not in model.key
        ]
        first = (
            self.random.sample(names, min(len(names), self.random.randint(1, 2)))
            if self.maybe(chance)
            else []
        )
        return [{name: self.direction()} for name in (*first, *model.key)]

    def page(self, model: Model, sized: bool = True) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if sized and self.maybe(0.5):
            given["take"] = self.random.choice([1, 2, 3, 5, -1, -2, -4, 0, 50])
        if self.maybe(0.3):
            given["skip"] = self.random.randint(0, 3)
        if self.maybe(0.25):
            given["cursor"] = self.key(model)
        if self.maybe(0.2):
            names = [each.name for each in model.fields.values() if each.type != "Json"]
            given["distinct"] = self.random.sample(names, self.random.randint(1, min(2, len(names))))
        return given

    def key(self, model: Model) -> dict[str, Any]:
        """Draw what names one row."""
        name = self.random.choice(list(model.keys))
        columns = model.keys[name]
        found = {column: self.values.one(model.fields[column]) for column in columns}
        return found if len(columns) == 1 else {name: found}

    def where(self, model: Model, depth: int = 0) -> dict[str, Any]:
        """Draw conditions."""
        kind = self.random.random()
        if depth < _DEEPEST and kind < 0.18:
            branches = [
                self.where(model, depth + 1)
                for _ in range(self.random.randint(0 if self.maybe(0.1) else 1, 3))
            ]
            return {self.random.choice(["AND", "OR"]): branches}
        if depth < _DEEPEST and kind < 0.28:
            return {"NOT": [self.where(model, depth + 1) for _ in range(self.random.randint(1, 2))]}
        if depth < _DEEPEST and kind < 0.5 and model.relations:
            relation = self.random.choice(list(model.relations.values()))
            operator = self.random.choice(["some", "every", "none"] if relation.many else ["is", "is_not"])
            if not relation.many and relation.optional and self.maybe(0.15):
                return {relation.name: {operator: None}}
            return {relation.name: {operator: self.where(self.schema.models[relation.to], depth + 1)}}
        fields = self.random.sample(
            list(model.fields.values()), self.random.choice([1, 1, 1, 2]) if len(model.fields) > 1 else 1
        )
        return {each.name: self.condition(each) for each in fields}

    def condition(self, each: Field) -> Any:
        if each.many:
            return self._of_list(each)
        if each.optional and self.maybe(0.12):
            return self.random.choice([None, {"not": None}, {"equals": None}])
        if self.maybe(0.2) and each.type != "Json":
            return self.values.one(each)
        if each.type == "Json":
            return {self.random.choice(["equals", "not"]): self.values.one(each)}
        if each.type == "Boolean":
            return {self.random.choice(["equals", "not"]): self.values.one(each)}
        operators = ["equals", "not", "in", "not_in", "nested"]
        if each.type in _ORDERED:
            operators += ["gt", "gte", "lt", "lte", "range"]
        operator = self.random.choice(operators)
        if operator == "range":
            return {"gte": self.values.one(each), "lt": self.values.one(each)}
        if operator == "nested":
            return (
                {"not": {self.random.choice(["equals", "in", "not_in"]): self.values.some(each)}}
                if self.maybe(0.2)
                else {"not": self._listed(self.random.choice(["in", "not_in", "equals"]), each)}
            )
        if each.type == "String" and not each.native and self.maybe(0.5):
            return self._of_text()
        return self._listed(operator, each)

    def _listed(self, operator: str, each: Field) -> dict[str, Any]:
        return {operator: self.values.some(each) if operator in ("in", "not_in") else self.values.one(each)}

    def _of_text(self) -> dict[str, Any]:
        operator = self.random.choice(["contains", "startswith", "endswith", "equals", "in", "gt"])
        value: Any = self.random.choice(TEXTS)
        condition: dict[str, Any] = {operator: [value, "B"] if operator == "in" else value}
        if self.maybe(0.4):
            condition["mode"] = self.random.choice(["insensitive", "default"])
        return condition

    def _of_list(self, each: Field) -> dict[str, Any]:
        operator = self.random.choice(["has", "has_some", "has_every", "is_empty", "equals"])
        if operator == "is_empty":
            return {operator: self.values.random.choice([True, False])}
        return {operator: self.values.one(each) if operator == "has" else self.values.some(each, 2)}

    def include(self, model: Model, depth: int = 0) -> dict[str, Any]:
        """Draw relations to load, with their own pages."""
        if not model.relations:
            return {}
        chosen = self.random.sample(
            list(model.relations.values()), self.random.randint(1, min(3, len(model.relations)))
        )
        return {
            relation.name: self._included(relation.many, self.schema.models[relation.to], depth)
            for relation in chosen
        }

    def _included(self, many: bool, to: Model, depth: int) -> Any:
        given: dict[str, Any] = {}
        if many:
            given = {"order_by": self.order(to)}
            if self.maybe(0.4):
                given["where"] = self.where(to, _DEEPEST - 1)
            if self.maybe(0.6):
                given |= self.page(to)
        elif self.maybe(0.1):
            return False
        if depth < _DEEPEST and to.relations and self.maybe(0.4):
            given["include"] = self.include(to, depth + 1)
        return given or True
