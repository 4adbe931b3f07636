"""Rules (`checks.py`) as JSON Schema 2020-12, for `/openapi.json`."""

from __future__ import annotations

from typing import Any

from functions.chat.api.checks import (
    Array,
    Boolean,
    Enum,
    Integer,
    Map,
    Member,
    Number,
    Object,
    OneKind,
    Refused,
    Rule,
    String,
    StringOr,
    TaggedUnion,
)

REF = "#/components/schemas/"
Schema = dict[str, Any]


def add_object(rule: Object, components: dict[str, Schema]) -> Schema:
    """Add the schema of an object, and of each object within it, to `components`; return its reference."""
    if rule.name not in components:
        properties = {name: _member(member, components) for name, member in rule.members.items()}
        components[rule.name] = {
            "type": "object",
            "properties": properties,
            "required": [name for name, member in rule.members.items() if member.is_required],
            "additionalProperties": True,
        }
        if rule.description:
            components[rule.name]["description"] = rule.description
    return {"$ref": REF + rule.name}


def _member(member: Member, components: dict[str, Schema]) -> Schema:
    schema = _any_rule(member.rule, components)
    others: list[Schema] = [{"type": "null"}] if member.is_nullable else []
    if member.empty == []:
        others.append({"type": "array", "maxItems": 0})
    if others:
        schema = {"anyOf": [schema, *others]}
    if member.description:
        schema["description"] = member.description
    if member.default is not None:
        schema["default"] = member.default
    return schema


def _any_rule(rule: Rule, components: dict[str, Schema]) -> Schema:
    match rule:
        case Object():
            return add_object(rule, components)
        case TaggedUnion():
            references = {tag: add_object(each, components)["$ref"] for tag, each in rule.objects.items()}
            return {
                "oneOf": [{"$ref": reference} for reference in dict.fromkeys(references.values())],
                "discriminator": {"propertyName": rule.tag, "mapping": references},
            }
        case StringOr():
            return {"oneOf": [_any_rule(each, components) for each in (rule.string, rule.other)]}
        case OneKind():
            return {"oneOf": [_any_rule(each, components) for each in rule.arrays.values()]}
        case Array():
            items = _any_rule(rule.items, components)
            return _typed("array", items=items, minItems=1, maxItems=rule.max_length)
        case Map():
            values = _any_rule(rule.values, components) if rule.values else True
            keys = _any_rule(rule.keys, components) if rule.keys else None
            return _typed(
                "object", propertyNames=keys, additionalProperties=values, maxProperties=rule.max_length
            )
        case _:
            return _scalar(rule)


def _scalar(rule: Rule) -> Schema:
    match rule:
        case Refused():
            return {"not": {}}
        case Boolean():
            return _typed("boolean")
        case Integer():
            return _typed("integer", minimum=rule.minimum, maximum=rule.maximum)
        case Number():
            return _typed("number", minimum=rule.minimum, maximum=rule.maximum)
        case Enum():
            return _typed("string", enum=list(rule.values))
        case String():
            min_length = 1 if rule.not_empty else None
            return _typed("string", minLength=min_length, maxLength=rule.max_length, pattern=rule.pattern)
    raise TypeError(f"{rule} has no JSON Schema")


def _typed(json_type: str, **keywords: Any) -> Schema:
    return {"type": json_type, **{name: value for name, value in keywords.items() if value is not None}}
