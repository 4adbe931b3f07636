"""The limits of one operation: its depth, aliases, fields and cost.

They are counted with fragments expanded. Each fragment is measured once, however often it is used, so that
the work is linear in the document's size, even for fragments that expand exponentially.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from .errors import ValidationFailed
from .pages import DEFAULT_PAGE, MAX_PAGE

# Fields that return one item per todo, with the number of items where the caller gives none.
_LISTS = {"todos": MAX_PAGE, "todosConnection": DEFAULT_PAGE}
_SIZES = ("first", "last")
_INTROSPECTION = ("__schema", "__type")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one request may contain.

    Units:  `max_tokens` lexical tokens of the document; `max_depth` levels of fields (introspection aside);
            `max_aliases`, `max_root_fields` fields; `max_cost` fields in the reply, list items counted.
    """

    max_body_bytes: int = 100_000
    max_tokens: int = 2000
    max_depth: int = 8
    max_aliases: int = 30
    max_root_fields: int = 30
    max_cost: int = 5000


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a selection. `cost`: the fields in its part of the response."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    cost: int = 0

    def beside(self, other: Size) -> Size:
        return Size(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.cost + other.cost,
        )


def check_limits(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    limits: Limits,
) -> None:
    """Check an operation against the limits.

    Raises: ValidationFailed.
    """
    try:
        size = _Measure(document, variables).selection(operation.selection_set)
    except RecursionError:
        raise ValidationFailed(
            "The operation is too large: it is nested too deeply. Request less at once."
        ) from None
    for what, value, limit in (
        ("levels deep", size.depth, limits.max_depth),
        ("fields at its root", size.fields, limits.max_root_fields),
        ("aliases", size.aliases, limits.max_aliases),
        ("fields in the reply", size.cost, limits.max_cost),
    ):
        if value > limit:
            raise ValidationFailed(
                f"The operation is too large: expected at most {limit} {what}, but got {value}. "
                "Request less at once."
            )


@dataclass
class _Measure:
    document: DocumentNode
    variables: Mapping[str, Any]
    _sizes: dict[str, Size] = field(default_factory=dict)

    def selection(self, selection_set: SelectionSetNode | None) -> Size:
        total = Size()
        for node in selection_set.selections if selection_set else ():
            if isinstance(node, FieldNode):
                total = total.beside(self._field(node))
            elif isinstance(node, FragmentSpreadNode):
                total = total.beside(self._fragment(node.name.value))
            elif isinstance(node, InlineFragmentNode):
                total = total.beside(self.selection(node.selection_set))
        return total

    def _field(self, node: FieldNode) -> Size:
        inner = self.selection(node.selection_set)
        alias = 1 if node.alias else 0
        if node.name.value in _INTROSPECTION:
            return Size(1, inner.aliases + alias, 1, 1)
        items = 1
        if node.name.value in _LISTS:
            sizes = [self._number(each.value) for each in node.arguments or () if each.name.value in _SIZES]
            items = max([size for size in sizes if size], default=_LISTS[node.name.value])
        return Size(inner.depth + 1, inner.aliases + alias, 1, 1 + inner.cost * items)

    def _fragment(self, name: str) -> Size:
        """Measure a fragment once. One that contains itself counts as empty there; validation refuses it."""
        if name not in self._sizes:
            self._sizes[name] = Size()
            for definition in self.document.definitions:
                if isinstance(definition, FragmentDefinitionNode) and definition.name.value == name:
                    self._sizes[name] = self.selection(definition.selection_set)
        return self._sizes[name]

    def _number(self, value: Any) -> int | None:
        """Return an argument's value if it is a valid page size."""
        number: Any = None
        if isinstance(value, IntValueNode):
            number = int(value.value) if len(value.value) < 10 else MAX_PAGE
        elif isinstance(value, VariableNode):
            number = self.variables.get(value.name.value, MAX_PAGE)
            if isinstance(number, float):  # GraphQL accepts 100.0 as 100
                return MAX_PAGE
        return min(max(number, 1), MAX_PAGE) if isinstance(number, int) else None
