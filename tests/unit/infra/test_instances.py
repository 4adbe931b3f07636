"""What managed instances need and cost: the arithmetic, and the pages that show it."""

from dataclasses import replace

import pytest

from infra import break_even, costs, instances
from infra.deploy import plan
from infra.stages import PROD, SERVERLESS, ManagedInstances

from .templates import ROOT

MANAGED = replace(PROD, managed_instances=ManagedInstances())


@pytest.mark.parametrize(
    ("instance_type", "memory_gib", "vcpus", "room"),
    [("c7g.large", 2, 2, 1), ("c7g.xlarge", 2, 4, 3), ("m7g.large", 4, 2, 1), ("c7g.8xlarge", 2, 32, 31)],
)
def test_what_a_machine_has_room_for(instance_type: str, memory_gib: int, vcpus: int, room: int) -> None:
    assert (instances.vcpus(instance_type), instances.room(instance_type, memory_gib)) == (vcpus, room)


def test_machines_are_in_three_zones_and_there_is_room_for_two_versions() -> None:
    large = ManagedInstances(environments=(1, 20), instance_types=("c7g.8xlarge",))
    assert [instances.machines(large, each) for each in (1, 2, 3, 20, 100)] == [1, 2, 3, 3, 4]
    assert (instances.first_vcpus(large), instances.most_vcpus(large)) == (96, 192)
    small = ManagedInstances(environments=(1, 1))
    assert (instances.first_vcpus(small), instances.most_vcpus(small)) == (6, 12)


def test_the_document_has_the_computed_tables() -> None:
    document = break_even.DOCUMENT.read_text()
    assert break_even.written(document) == document, "run `.venv/bin/python -m infra.break_even --write`"


def test_a_million_completions_of_ten_seconds_cost_7_dollars_instead_of_133() -> None:
    hours, usd = costs.million_completions(MANAGED)["hours of the chat function's machines, half used"]
    assert hours * usd == pytest.approx(7.24, abs=0.01)
    assert break_even.on_demand(1e6) == pytest.approx(133.33, abs=0.01)
    assert costs.million_completions(MANAGED)["Lambda, million GB-s"][0] == 0
    assert costs.million_completions(PROD)["hours of the chat function's machines, half used"][0] == 0


@pytest.mark.parametrize("environments", [1, 2, 3, 6])
def test_at_the_break_even_both_cost_the_same(environments: int) -> None:
    completions = break_even.break_even(environments)
    assert break_even.managed(completions, environments) == pytest.approx(break_even.on_demand(completions))
    assert completions < break_even.carried(environments), "and the machines carry as many"


def test_a_month_without_requests_has_the_machines_and_no_snapshot_of_their_function() -> None:
    bill, before = costs.idle_month(MANAGED), costs.idle_month(PROD)
    machines, usd = bill["machines of the chat function that always run"]
    assert (machines, round(machines * usd, 2)) == (3, 182.59)
    assert bill["snapshots of the functions, GB"] == before["snapshots of the functions, GB"]
    alone = replace(MANAGED, managed_instances=ManagedInstances(keeps_on_demand=False))
    snapshots = costs.idle_month(alone)["snapshots of the functions, GB"][0]
    assert snapshots == pytest.approx(PROD.memory_mb[1] / 1024)


def test_the_plan_says_what_the_machines_cost() -> None:
    text = plan.text(MANAGED, account="111122223333", region="us-east-1", counts={})
    assert (
        "A machine of the chat function costs $0.0834 an hour, without its disk: 3 always run, 12 at" in text
    )


def test_the_plan_says_what_has_no_price() -> None:
    other = ManagedInstances(instance_types=("c9g.large",))
    stage = replace(SERVERLESS, egress="nat", managed_instances=other)
    text = plan.text(stage, account="111122223333", region="us-east-1", counts={})
    assert "What it costs is not known: infra/costs.py has no price of c9g.large." in text
    assert "prompts go to Amazon Bedrock" in text


def test_the_prices_are_named_with_their_day() -> None:
    assert "read 2026-11-28" in (ROOT / "infra" / "costs.py").read_text()
