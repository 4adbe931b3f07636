"""`Ref` of a secret is its ARN; in ministack it is the name, with which nothing can be granted.

Source: CloudFormation, AWS::SecretsManager::Secret, Return values, read 2026-11-23.
"""

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

TYPE = "AWS::SecretsManager::Secret"


def needed() -> bool:
    """Return whether ministack's is still the name."""
    reference, attributes = provisioners._RESOURCE_HANDLERS[TYPE]["create"]("Probe", {}, "Probe")
    return bool(reference != attributes["Id"])


def install() -> None:
    """Let it be the ARN."""
    known = provisioners._RESOURCE_HANDLERS[TYPE]

    def create(logical_id: str, properties: Any, stack: str) -> Any:
        _, attributes = known["create"](logical_id, properties, stack)
        return attributes["Id"], attributes

    def update(arn: str, old: Any, new: Any, stack: str, logical_id: str) -> Any:
        _, attributes = known["update"](_name(arn), old, new, stack, logical_id)
        return attributes["Id"], attributes

    def delete(arn: str, properties: Any) -> None:
        known["delete"](_name(arn), properties)

    changed = {"create": create, "update": update, "delete": delete}
    provisioners._RESOURCE_HANDLERS[TYPE] = {**known, **changed}


def _name(arn: str) -> str:
    name, _ = secretsmanager._resolve(arn)
    return str(name)
