"""The connections of the design are possible, and no others: what a local AWS does not check."""

from itertools import product

import pytest

from .reach import Reach
from .templates import Deployment

CHAT, TODOS, MIGRATIONS = "ChatFunction", "TodosFunction", "Migrations"
# Caller, called, port.
ALWAYS = {(TODOS, "Database", 5432), (MIGRATIONS, "Database", 5432)}
EDGES = {
    "serverless": ALWAYS,
    "dev": ALWAYS | {(CHAT, "Engine", 8000)},
    "prod": ALWAYS | {(CHAT, "Balancer", 8000), ("Balancer", "Engine", 8000)},
}
PORTS = (22, 80, 443, 5432, 8000)


@pytest.fixture
def reach(deployment: Deployment) -> Reach:
    return Reach(deployment.templates)


def test_these_can_connect_and_no_others(deployment: Deployment, reach: Reach) -> None:
    found = {
        (caller, called, port)
        for caller, called, port in product(reach.members, reach.members, PORTS)
        if reach.connects(caller, called, port)
    }
    assert found == EDGES[deployment.stage.name]


def test_nothing_is_reached_from_outside(reach: Reach) -> None:
    assert [name for name in reach.members if reach.is_reached_from_outside(name)] == []


def test_who_is_in_the_network(deployment: Deployment, reach: Reach) -> None:
    """The functions that Bedrock, ECS or Auto Scaling is called by are outside it."""
    with_engine = {CHAT, "Engine", "Machines"} if deployment.stage.engine else set()
    with_balancer = {"Balancer"} if deployment.stage.name == "prod" else set()
    assert set(reach.members) == {TODOS, MIGRATIONS, "Database"} | with_engine | with_balancer


def test_what_calls_aws_reaches_it(deployment: Deployment, reach: Reach) -> None:
    """By IPv6 or by NAT; the table by the network's own gateway."""
    by_nat = deployment.stage.egress == "nat"
    functions = {TODOS, CHAT} if deployment.stage.engine else {TODOS}
    for name in functions:
        assert reach.reaches_service(name, "dynamodb"), name
        assert reach.reaches_ipv6(name) is not by_nat, name
        assert reach.reaches_ipv4(name) is by_nat, name
    assert reach.reaches_ipv4(MIGRATIONS) or reach.reaches_ipv6(MIGRATIONS)
    assert not reach.reaches_ipv4("Database")


def test_the_machines_reach_aws_and_the_task_s3_alone_without_nat(
    deployment: Deployment, reach: Reach
) -> None:
    """The agent pulls images, registers and writes logs; the task reads weights."""
    if not deployment.stage.engine:
        assert "Engine" not in reach.members
        return
    assert reach.reaches_ipv4("Machines")
    assert reach.reaches_service("Engine", "s3")
    # With NAT media of allowed hosts may be loaded.
    assert reach.reaches_ipv4("Engine") is (deployment.stage.egress == "nat")
    assert not reach.reaches_ipv6("Engine")
    assert not reach.reaches_ipv4("Machines", port=80)
