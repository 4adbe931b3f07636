"""A chat function on Lambda Managed Instances: its template, and how a stage comes to it and leaves it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from aws_cdk import App

from functions.chat.settings import Settings
from infra.app import build
from infra.bundles import Bundles
from infra.deploy.stacks import PARTS
from infra.stages import PROD, SERVERLESS, ManagedInstances, Stage

from .reach import Reach
from .templates import CONTEXT, Deployment, Json, Resource, synthesise
from .test_functions import FUNCTION, PERMISSION, grants, policies_of
from .test_lint import mistakes_in
from .test_template_environment import FOR_LAMBDA, Recorded, environment
from .test_watch import board

MANAGED, ON_DEMAND = "ManagedChatFunction", "ChatFunction"
NAME = "chatbot-prod-managed-chat"
SETTINGS = ManagedInstances(environments=(2, 5), concurrency=48, memory_gib=4, instance_types=("m7g.large",))
Synthesise = Callable[[Stage], Deployment]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """A function that synthesises a stage."""

    def made(stage: Stage) -> Deployment:
        folder = tmp_path_factory.mktemp("managed")
        app = App(outdir=str(folder), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
        build(app, stage, bundles=Bundles(architecture=stage.architecture))
        return Deployment(stage, folder, synthesise(app))

    return made


@pytest.fixture(scope="module")
def managed(synthesised: Synthesise) -> Deployment:
    """The stage prod with managed instances, and its function on demand beside them."""
    return synthesised(replace(PROD, managed_instances=SETTINGS))


def resource(deployment: Deployment, logical_id: str) -> Resource:
    return Resource(logical_id, deployment.templates["Api"]["Resources"][logical_id])


def of(deployment: Deployment, kind: str, function: str) -> Resource:
    """Return a function's only version, alias or Function URL."""
    references = ({"Ref": function}, {"Fn::GetAtt": [function, "Arn"]})
    (found,) = (
        each
        for each in deployment.all(f"AWS::Lambda::{kind}", "Api")
        if each.properties.get("FunctionName", each.properties.get("TargetFunctionArn")) in references
    )
    return found


def test_no_rule_of_cdk_nag_or_cloudformation_is_broken(managed: Deployment) -> None:
    assert managed.findings == ""
    assert mistakes_in((managed.folder / "ChatbotProdApi.template.json").read_text()) == []


def test_how_the_function_runs(managed: Deployment) -> None:
    function = resource(managed, MANAGED).properties
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert (function["MemorySize"], function["Timeout"]) == (4096, 900)
    (provider,) = managed.all("AWS::Lambda::CapacityProvider")
    assert function["CapacityProviderConfig"]["LambdaManagedInstancesCapacityProviderConfig"] == {
        "CapacityProviderArn": {"Fn::GetAtt": [provider.id, "Arn"]},
        "PerExecutionEnvironmentMaxConcurrency": 48,
        "ExecutionEnvironmentMemoryGiBPerVCpu": 4,
    }, "4 GiB for each vCPU, and 4 GiB: one vCPU"
    assert function["PublishToLatestPublished"] is False, "it would have three environments of its own"
    for absent in ("ReservedConcurrentExecutions", "SnapStart", "VpcConfig", "FunctionScalingConfig"):
        assert absent not in function
    assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert function["LoggingConfig"]["ApplicationLogLevel"] == "INFO", "that of lines which carry metrics"
    assert function["TracingConfig"] == {"Mode": "Active"}
    beside = resource(managed, ON_DEMAND).properties
    for same in ("Code", "Handler", "Layers"):
        assert function[same] == beside[same], same


def test_it_is_called_by_a_version_that_streams_and_does_not_stay(managed: Deployment) -> None:
    version = of(managed, "Version", MANAGED)
    assert version.properties["FunctionScalingConfig"] == {
        "MinExecutionEnvironments": 2,
        "MaxExecutionEnvironments": 5,
    }
    assert version.policies == ("Delete", "Delete"), "its environments would be paid for"
    assert of(managed, "Alias", MANAGED).properties["FunctionVersion"]["Fn::GetAtt"][0] == version.id
    url = of(managed, "Url", MANAGED).properties
    assert (url["InvokeMode"], url["Qualifier"], url["AuthType"]) == ("RESPONSE_STREAM", "live", "AWS_IAM")


def test_where_lambda_launches_machines(managed: Deployment) -> None:
    (provider,) = managed.all("AWS::Lambda::CapacityProvider")
    own = provider.properties
    assert own["InstanceRequirements"] == {
        "AllowedInstanceTypes": ["m7g.large"],
        "Architectures": ["arm64"],
    }
    assert own["CapacityProviderScalingConfig"] == {"MaxVCpuCount": 20}, "two versions of five machines"
    assert own["PropagateTags"]["ExplicitTags"] == [{"Key": "chatbot:stage", "Value": "prod"}]
    subnets = resource(managed, ON_DEMAND).properties["VpcConfig"]
    assert own["VpcConfig"] == {key: subnets[key] for key in ("SecurityGroupIds", "SubnetIds")}
    assert "CapacityProviderName" not in own, "one with a name cannot be replaced, as other types require"
    log = resource(managed, own["TelemetryConfig"]["LoggingConfig"]["LogGroup"]["Ref"])
    assert log.properties["RetentionInDays"] == PROD.log_days
    reach = Reach(managed.templates)
    assert reach.connects(ON_DEMAND, "Balancer", 8000), "and so do machines with the same group and subnets"
    assert reach.reaches_ipv4(ON_DEMAND)


def test_it_may_do_what_the_function_on_demand_may_but_for_its_interfaces(managed: Deployment) -> None:
    functions = (resource(managed, each) for each in (MANAGED, ON_DEMAND))
    allowed, beside = (grants(managed, each) for each in functions)
    assert {grant for grant in beside if not grant[1].startswith("ec2:")} == allowed
    policies = str(list(policies_of(managed, MANAGED)))
    assert "ManagedChatFunctionLog" in policies


def test_it_accepts_its_variables(managed: Deployment) -> None:
    variables = Recorded(environment(managed, MANAGED))
    settings = Settings.from_environment(variables)
    assert [*settings.models] == [*Settings.from_environment(environment(managed, ON_DEMAND)).models]
    assert set(environment(managed, MANAGED)) - variables.read == {FOR_LAMBDA}


def test_the_api_and_the_output_lead_to_it_and_the_one_on_demand_keeps_its_url(managed: Deployment) -> None:
    alias = of(managed, "Alias", MANAGED)
    integrations = [
        json.dumps(each.properties["Integration"].get("Uri", ""))
        for each in managed.all("AWS::ApiGateway::Method", "Api")
        if each.properties["Integration"]["Type"] == "AWS_PROXY"
    ]
    assert sum(alias.id in each for each in integrations) == 2
    assert not any(of(managed, "Alias", ON_DEMAND).id in each for each in integrations)
    outputs = managed.outputs("Api")
    for name, function in {"ChatUrl": MANAGED, "OnDemandChatUrl": ON_DEMAND}.items():
        assert outputs[name]["Value"] == {"Fn::GetAtt": [of(managed, "Url", function).id, "FunctionUrl"]}


def test_requests_reach_it_once_they_may(managed: Deployment) -> None:
    """The permission is made before the deployment of the API that leads to it."""
    (deployed,) = managed.all("AWS::ApiGateway::Deployment")
    alias = {"Ref": of(managed, "Alias", MANAGED).id}
    (permission,) = (
        each.id
        for each in managed.all(PERMISSION, "Api")
        if each.properties["FunctionName"] == alias
        and each.properties["Principal"] == "apigateway.amazonaws.com"
    )
    assert permission in deployed.entry["DependsOn"]


def test_the_function_on_demand_may_be_invoked_until_api_gateway_has_changed(managed: Deployment) -> None:
    alias = {"Ref": of(managed, "Alias", ON_DEMAND).id}
    callers = [
        (each.properties["Principal"], "/*/*/*" in json.dumps(each.properties["SourceArn"]))
        for each in managed.all(PERMISSION, "Api")
        if each.properties["FunctionName"] == alias
    ]
    assert callers == [("apigateway.amazonaws.com", True)]


def test_alarms_and_dashboard_are_of_the_function_that_answers(managed: Deployment) -> None:
    for name in ("ChatFails", "ChatThrottled"):
        (alarm,) = (each for each in managed.all("AWS::CloudWatch::Alarm") if each.id.startswith(name))
        assert alarm.properties["Dimensions"] == [{"Name": "FunctionName", "Value": NAME}]
    titles = [each["properties"].get("title") for each in board(managed)["widgets"]]
    assert {"Requests in one environment (count)", "Throttled for want of (count/5 min)"} <= {*titles}
    searched = re.findall(
        r'MetricName="(\w+)" FunctionName="([\w-]+)"', json.dumps(board(managed)).replace("\\", "")
    )
    assert {name for _, name in searched} == {NAME}
    assert {metric for metric, _ in searched} == {
        *("ExecutionEnvironmentConcurrency", "ExecutionEnvironmentConcurrencyLimit"),
        *("ExecutionEnvironmentCPUUtilization", "ExecutionEnvironmentMemoryUtilization"),
        *("ConcurrencyThrottles", "CPUThrottles", "MemoryThrottles", "DiskThrottles"),
    }, "as AWS documents them"
    assert "chat_ms" not in json.dumps(board(managed)), "the time of its requests is not paid for"


# ── to managed instances, and back


def imports(template: Json) -> set[str]:
    return set(re.findall(r'"Fn::ImportValue": "([^"]+)"', json.dumps(template)))


def exports(template: Json) -> set[str]:
    return {each["Export"]["Name"] for each in template.get("Outputs", {}).values() if "Export" in each}


def missing(before: Deployment, after: Deployment) -> Iterator[tuple[str, str]]:
    """Yield what a stack's update would take away while a stack that is updated later imports it.

    CloudFormation refuses that: "in use by". Stacks are updated one after the other.
    """
    order = [part for part in PARTS if part in before.templates]
    for number, part in enumerate(order):
        for later in order[number + 1 :]:
            used = imports(before.templates[later]) & exports(before.templates[part])
            yield from ((part, name) for name in used - exports(after.templates[part]))


def test_the_change_leaves_all_that_was_there(managed: Deployment, prod: Deployment) -> None:
    before, after = (each.templates["Api"]["Resources"] for each in (prod, managed))
    function = {id_ for id_ in before if id_.startswith(ON_DEMAND)}
    assert len(function) > 6
    unchanged = {id_ for id_ in function if after.get(id_) == before[id_]}
    alias = {id_ for id_ in function if before[id_]["Type"] == "AWS::Lambda::Alias"}
    assert function - unchanged == alias, "its deployments are no longer CodeDeploy's"
    gone = {before[id_]["Type"] for id_ in before.keys() - after.keys()}
    assert gone == {PERMISSION, "AWS::ApiGateway::Deployment"}, "what led the API to it"


def test_no_stack_takes_away_what_another_one_still_uses(managed: Deployment, prod: Deployment) -> None:
    assert list(missing(prod, managed)) == []
    assert list(missing(managed, prod)) == []


@pytest.mark.nightly
def test_nor_without_the_function_on_demand_or_an_engine(
    managed: Deployment, prod: Deployment, synthesised: Synthesise
) -> None:
    alone = synthesised(replace(managed.stage, managed_instances=replace(SETTINGS, keeps_on_demand=False)))
    assert {each.id for each in alone.all(FUNCTION, "Api")} >= {MANAGED}
    assert ON_DEMAND not in alone.templates["Api"]["Resources"]
    assert "OnDemandChatUrl" not in alone.outputs("Api")
    for before, after in ((managed, alone), (alone, managed), (alone, prod)):
        assert list(missing(before, after)) == []
    by_nat = replace(SERVERLESS, egress="nat")
    without = synthesised(by_nat)
    within = synthesised(replace(by_nat, managed_instances=SETTINGS))
    assert (without.findings, within.findings) == ("", "")
    assert list(missing(without, within)) == []
    assert list(missing(within, without)) == []
    assert "bedrock:InvokeModel" in str(list(policies_of(within, MANAGED)))
