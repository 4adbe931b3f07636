"""What a check is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.deploy.stacks import prefix_of
from infra.doctor.account import Account
from infra.doctor.machine import Machine
from infra.places import Places
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
    places: Places = Places()  # noqa: RUF009 - it is frozen

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
        """Return the name of a stack of the stage."""
        return f"{prefix_of(self.stage.name)}{part}"
