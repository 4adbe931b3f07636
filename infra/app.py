"""The CDK app: `npx cdk synth -c stage=serverless`, or `make synth`.

ChatbotDevNetwork ◀─ Data ◀─ Supply ◀─ Engine ◀─ Api ◀─ Watch

A stage without an engine has neither of the two in the middle.
"""

from __future__ import annotations

import os

from aws_cdk import Annotations, App, Tags

from infra import nag
from infra.bundles import Bundles
from infra.choice import ChoiceError, chosen_stage
from infra.places import Places, places_of, region_from
from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.engine import EngineStack
from infra.stacks.network import NetworkStack
from infra.stacks.supply import SupplyStack
from infra.stacks.watch import WatchStack
from infra.stages import Stage

_NO_PLACES = (
    "There is no file for this stage and region in stages/, so the network has the region's first zones, "
    "which may not offer the GPU machine, and the database the newest version of Aurora that CDK knows. "
    "`make doctor STAGE={}` writes the file."
)


def build(app: App, stage: Stage, *, bundles: Bundles, places: Places | None = None) -> None:
    """Compose a stage's stacks, and check them all."""
    prefix = f"Chatbot{stage.name.capitalize()}"
    chosen = places or Places()
    network = NetworkStack(app, f"{prefix}Network", stage=stage, zones=chosen.zones)
    if not places:
        Annotations.of(network).add_warning_v2("chatbot:places", _NO_PLACES.format(stage.name))
    data = DataStack(app, f"{prefix}Data", stage=stage, network=network, aurora=chosen.aurora)
    engine = None
    if stage.engine:
        assert data.engine_key is not None  # made for the engine
        supply = SupplyStack(app, f"{prefix}Supply", stage=stage, engine=stage.engine)
        engine = EngineStack(
            app,
            f"{prefix}Engine",
            stage=stage,
            engine=stage.engine,
            network=network,
            supply=supply,
            engine_key=data.engine_key,
            table=data.table,
            bundles=bundles,
        )
    api = ApiStack(
        app, f"{prefix}Api", stage=stage, network=network, data=data, engine=engine, bundles=bundles
    )
    if engine:
        api.add_dependency(engine)
    WatchStack(app, f"{prefix}Watch", stage=stage, api=api, engine=engine, data=data)
    Tags.of(app).add("chatbot:stage", stage.name)
    nag.check(app)


def main() -> None:
    """Synthesise the stage that the command line names.

    Raises: SystemExit, with what was expected.
    """
    app = App()
    try:
        stage = chosen_stage(
            app.node.try_get_context("stage") or "serverless",
            architecture=app.node.try_get_context("architecture"),
        )
        places = places_of(stage, region_from(os.environ))
    except ChoiceError as error:
        raise SystemExit(str(error)) from None
    build(app, stage, bundles=Bundles(architecture=stage.architecture), places=places)
    app.synth()


if __name__ == "__main__":
    main()
