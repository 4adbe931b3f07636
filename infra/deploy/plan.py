"""What a deployment will make, what it costs, and where prompts go: printed before the question."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from infra import costs, instances
from infra.deploy.stacks import PARTS, prefix_of
from infra.stages import Stage

_WHAT = {
    "Network": "a private network and its security groups",
    "Data": "keys and usage (DynamoDB), todos (Aurora), secrets",
    "Supply": "the registry, the bucket and the build for the engine's image and weights",
    "Engine": "vLLM on GPU machines",
    "Api": "the functions, a REST API, Function URLs",
    "Watch": "the dashboard, a budget, alarms",
}
_ROW = "  {:<28}{:>4} resources  {}"
# Estimates: nothing has been in a real account.
_FIRST_MINUTES = {False: 25, True: 45}


def resources(assembly: Path, stage: str) -> dict[str, int]:
    """Return how many resources each stack of a stage has, by the last part of its name, in order."""
    files = {part: assembly / f"{prefix_of(stage)}{part}.template.json" for part in PARTS}
    return {
        part: len(json.loads(file.read_text())["Resources"]) for part, file in files.items() if file.exists()
    }


def text(stage: Stage, *, account: str, region: str, counts: dict[str, int]) -> str:
    """Return the plan."""
    first = _FIRST_MINUTES[bool(stage.engine)]
    lines = [f"Stage {stage.name}, in account {account}, region {region}:", ""]
    lines += [_ROW.format(f"{prefix_of(stage.name)}{part}", n, _WHAT[part]) for part, n in counts.items()]
    if counts:
        total = f"{sum(counts.values())} resources in {len(counts)} stacks"
        lines.append(f"  {total}; the first time about {first} minutes (an estimate).")
    return "\n".join([*lines, "", *_costs(stage), "", *_prompts(stage, region)])


def _costs(stage: Stage) -> Iterator[str]:
    try:
        month = costs.total(costs.idle_month(stage))
        managed_hour = costs.managed_hour(stage.managed_instances) if stage.managed_instances else 0
    except KeyError as error:
        yield f"What it costs is not known: infra/costs.py has no price of {error.args[0]}."
        return
    yield f"A month without requests costs ${month:,.2f} (us-east-1, before taxes; docs/deploy.md#costs)."
    if stage.engine:
        hour = costs.gpu_hour(stage.engine)
        when = "while it runs" if stage.engine.scales_to_zero else "each, of which some always run"
        yield f"A GPU machine costs ${hour:,.2f} an hour {when}."
    if stage.managed_instances:
        least, most = (
            instances.machines(stage.managed_instances, each) for each in stage.managed_instances.environments
        )
        yield (
            f"A machine of the chat function costs ${managed_hour:,.4f} an hour, without its disk: {least} "
            f"always run, {most} at most, and twice as many during a deployment."
        )


def _prompts(stage: Stage, region: str) -> Iterator[str]:
    """Say in words to whom prompts go, besides the stage's own engine."""
    when = "There is no GPU:"
    if stage.engine:
        when = f"While the GPU {'starts' if stage.engine.scales_to_zero else 'fails'}, or is full,"
    for hosted in stage.hosted:
        whom = f"Amazon Bedrock in {region}" if hosted.is_bedrock else hosted.base_url
        billed = ", billed by its tokens" if hosted.is_bedrock else ""
        yield f"{when} prompts go to {whom} (model {hosted.served_name}){billed}."
    if stage.engine and stage.hosted:
        yield "A request with `x-fallback: none` is kept from it; hosted=() in infra/stages.py keeps all."
    elif stage.engine:
        yield "Prompts go to the stage's own engine alone."
