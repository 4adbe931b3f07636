"""What a check is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.doctor.account import Account
from infra.doctor.machine import Machine
from infra.stages import Stage


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A stage, where it is to be deployed, and from where.

    Shape:  `number`: the account's, "" while it is not known. `places`: what `stages/<stage>.<region>.json`
            has already.
    """

    stage: Stage
    account: Account
    machine: Machine
    number: str = ""
    places: Mapping[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The region of its stacks."""
        return self.account.region

    def stack(self, part: str) -> dict[str, Any] | None:
        """Return a stack of the stage, such as its Network, None where there is none.

        Raises: Unknown, in one of its kinds.
        """
        return self.account.stack(self.stack_name(part))

    def stack_name(self, part: str) -> str:
        """Return the name that infra/app.py gives a stack of the stage."""
        return f"Chatbot{self.stage.name.capitalize()}{part}"
