"""The scaler's settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from functions.shared.environment import SettingsError, count, seconds

_PURPOSES = {
    "CLUSTER": "the name or ARN of the ECS cluster",
    "SERVICE": "the name or ARN of the engine's ECS service",
    "GROUP": "the name of the Auto Scaling group of its machine",
    "TABLE": "the name of the DynamoDB table",
    "MODEL": "the id of the model that the engine serves",
    "IDLE_MINUTES": "after how many minutes without requests the engine is stopped",
    "HELD_STREAMS": "how many streams at most wait at once for an engine that starts",
    "START_S": "about how many seconds the engine takes to start",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is started and stopped, and when.

    Shape:  `group` is the name of the Auto Scaling group, `table` that of the DynamoDB table.
    Units:  `idle_s`, `start_s` seconds; `held_streams` streams.
    """

    cluster: str
    service: str
    group: str
    table: str
    model: str
    idle_s: float
    held_streams: int
    start_s: float

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from variables.

        Raises: SettingsError, naming the variable.
        """
        for variable, purpose in _PURPOSES.items():
            if not environ.get(variable):
                raise SettingsError(
                    f"{variable} is missing: {purpose}. It is a variable of the scaler function."
                )
        return cls(
            cluster=environ["CLUSTER"],
            service=environ["SERVICE"],
            group=environ["GROUP"],
            table=environ["TABLE"],
            model=environ["MODEL"],
            idle_s=60.0 * count(environ["IDLE_MINUTES"], "IDLE_MINUTES"),
            held_streams=count(environ["HELD_STREAMS"], "HELD_STREAMS"),
            start_s=seconds(environ["START_S"], "START_S"),
        )
