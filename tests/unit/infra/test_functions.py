"""The deployed functions: how they run, what they may do, who may invoke them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App

from infra.app import build
from infra.bundles import Bundles
from infra.stages import DEV, STAGES, Engine, Hosted

from .policies import Policies, Request, resolved
from .templates import CONTEXT, ROOT, Deployment, Json, Resource, synthesise

FUNCTION, PERMISSION, POLICY = "AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::IAM::Policy"
CHAT, TODOS, HOSTED = "ChatFunction", "TodosFunction", "HostedFunction"
# What an action is done to, by a word of its logical id; "*" is everything.
Grant = tuple[str, str, str]
INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
LOGS: set[Grant] = {("Allow", f"logs:{action}", "Log") for action in ("CreateLogStream", "PutLogEvents")}
ALWAYS: set[Grant] = LOGS | {(effect, action, "*") for action in INTERFACES for effect in ("Allow", "Deny")}
TRACES: set[Grant] = {
    ("Allow", "xray:PutTraceSegments", "*"),
    ("Allow", "xray:PutTelemetryRecords", "*"),
}
READS_THE_MASTER_S_SECRET = ("Allow", "secretsmanager:GetSecretValue", "DatabaseSecret")
READS_ITS_USER_S_SECRET = ("Allow", "secretsmanager:GetSecretValue", "TodosUser")
COUNTS: set[Grant] = {("Allow", "dynamodb:GetItem", "Table"), ("Allow", "dynamodb:UpdateItem", "Table")}


BEDROCK: set[Grant] = {
    ("Allow", "bedrock:CallWithBearerToken", "*"),
    ("Allow", "bedrock:InvokeModel", "foundation-model"),
    ("Allow", "bedrock:InvokeModelWithResponseStream", "foundation-model"),
}
CALLS_THE_HOSTED_FUNCTION: set[Grant] = {
    ("Allow", "lambda:InvokeFunctionUrl", HOSTED),
    ("Allow", "lambda:InvokeFunction", HOSTED),
}


def resource(deployment: Deployment, logical_id: str) -> Resource:
    return Resource(logical_id, deployment.templates["Api"]["Resources"][logical_id])


def migrating(deployment: Deployment) -> Resource:
    return deployment.one(FUNCTION, "Api", Handler="index.handler")


def grants(deployment: Deployment, function: Resource) -> set[Grant]:
    """Return all that a function's role may do, and may not."""
    (role_id, _) = function.properties["Role"]["Fn::GetAtt"]
    role = resource(deployment, role_id)
    assert not role.properties.get("ManagedPolicyArns")
    assert not role.properties.get("Policies")
    return {
        (statement["Effect"], action, _kind(reached))
        for policy in deployment.all(POLICY, "Api")
        if {"Ref": role_id} in policy.properties["Roles"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for reached in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
    }


def test_the_chat_function_may_count_and_call_the_engines(deployment: Deployment) -> None:
    engine, hosted = deployment.stage.engine, deployment.stage.hosted
    expected = TRACES | COUNTS | {("Allow", f"dynamodb:{name}", "Table") for name in ("PutItem", "Query")}
    if engine:
        expected |= ALWAYS | {("Allow", "secretsmanager:GetSecretValue", "EngineKey")}
        expected |= CALLS_THE_HOSTED_FUNCTION if hosted else set()
    else:
        expected |= LOGS | BEDROCK
    if engine and engine.scales_to_zero:
        expected.add(("Allow", "lambda:InvokeFunction", "Scaler"))
    assert grants(deployment, resource(deployment, CHAT)) == expected


def test_the_function_for_hosted_models_may_call_them_and_nothing_else(dev: Deployment) -> None:
    assert grants(dev, resource(dev, HOSTED)) == LOGS | TRACES | BEDROCK
    url = dev.one("AWS::Lambda::Url", "Api", TargetFunctionArn={"Fn::GetAtt": [HOSTED, "Arn"]})
    assert (url.properties["AuthType"], url.properties["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")


@pytest.mark.parametrize(
    ("action", "context", "allowed"),
    [
        ("lambda:InvokeFunctionUrl", {"lambda:FunctionUrlAuthType": "AWS_IAM"}, True),
        ("lambda:InvokeFunctionUrl", {"lambda:FunctionUrlAuthType": "NONE"}, False),
        ("lambda:InvokeFunction", {"lambda:InvokedViaFunctionUrl": "true"}, True),
        ("lambda:InvokeFunction", {"lambda:InvokedViaFunctionUrl": "false"}, False),
        ("lambda:InvokeFunction", {}, False),
    ],
)
def test_the_chat_function_calls_that_function_by_its_url_alone(
    dev: Deployment, action: str, context: dict[str, str], allowed: bool
) -> None:
    (alias,) = [each for each in dev.all("AWS::Lambda::Alias", "Api") if each.id.startswith(HOSTED)]
    policies = policies_of(dev, CHAT)
    assert policies.allow(Request(action, alias.id, context)) is allowed
    assert not policies.allow(Request(action, "TodosFunctionLive", context))


@pytest.mark.parametrize(("stage", "function"), [("serverless", CHAT), ("dev", HOSTED)])
def test_bedrock_is_called_for_the_models_of_the_stage(
    deployments: Mapping[str, Deployment], stage: str, function: str
) -> None:
    policies = policies_of(deployments[stage], function)
    arn = "arn:aws:bedrock:eu-central-1::foundation-model/{}"
    (hosted,) = deployments[stage].stage.hosted
    for action in ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"):
        assert policies.allow(Request(action, arn.format(hosted.served_name)))
        assert not policies.allow(Request(action, arn.format("openai.gpt-oss-120b-1:0")))


def test_the_todo_function_may_count_and_read_the_secret_of_its_own_user(deployment: Deployment) -> None:
    function = resource(deployment, TODOS)
    assert grants(deployment, function) == ALWAYS | TRACES | COUNTS | {READS_ITS_USER_S_SECRET}
    assert "TodosUser" in str(function.properties["Environment"]["Variables"]["DATABASE_SECRET"])


def test_only_the_migrating_function_may_read_the_master_s_secret(deployment: Deployment) -> None:
    function = migrating(deployment)
    assert grants(deployment, function) == ALWAYS | {READS_THE_MASTER_S_SECRET, READS_ITS_USER_S_SECRET}
    variables = function.properties["Environment"]["Variables"]
    assert "DatabaseSecret" in str(variables["DATABASE_SECRET"])
    assert "TodosUser" in str(variables["USER_SECRET"])


READ, WRITE = ("GetItem",), ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
WHOLE = ("Scan", "Query", "BatchGetItem", "BatchWriteItem", "PartiQLSelect", "DeleteTable")
# A function, the beginnings of partition keys, the actions that are allowed on such items.
ITEMS: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    (CHAT, ("key#",), READ),
    (CHAT, ("id#",), ("GetItem", "UpdateItem")),
    (CHAT, ("usage#",), ("GetItem", "PutItem", "UpdateItem")),
    (CHAT, ("sums#",), ("PutItem", "UpdateItem", "Query")),
    (CHAT, ("usage#0123#sums",), ("GetItem", "PutItem", "UpdateItem", "Query")),
    (CHAT, ("keys", "", "k", "key", "xkey#", "other#"), ()),
    (TODOS, ("key#",), READ),
    (TODOS, ("id#",), ("GetItem", "UpdateItem")),
    (TODOS, ("usage#", "sums#", "usage#0123#sums", "keys", "", "xid#", "other#"), ()),
]


@pytest.mark.parametrize(("function", "beginnings", "allowed"), ITEMS)
def test_a_function_reaches_only_the_items_it_works_with(
    deployment: Deployment, function: str, beginnings: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    policies = policies_of(deployment, function)
    for beginning in beginnings:
        places = {"dynamodb:LeadingKeys": [f"{beginning}0123"] if beginning.endswith("#") else [beginning]}
        for action in (*READ, *WRITE, *WHOLE):
            request = Request(f"dynamodb:{action}", table_of(deployment, function), places)
            assert policies.allow(request) is (action in allowed), (beginning, action)


@pytest.mark.parametrize("function", [CHAT, TODOS])
def test_a_request_that_names_no_item_is_refused(deployment: Deployment, function: str) -> None:
    for action in (*READ, *WRITE, *WHOLE):
        request = Request(f"dynamodb:{action}", table_of(deployment, function))
        assert not policies_of(deployment, function).allow(request), action


@pytest.mark.parametrize("function", [CHAT, TODOS])
def test_one_item_without_a_grant_refuses_the_whole_request(deployment: Deployment, function: str) -> None:
    for others in (["id#1", "key#2"], ["id#1", "keys"]):
        keys = {"dynamodb:LeadingKeys": others}
        request = Request("dynamodb:UpdateItem", table_of(deployment, function), keys)
        assert not policies_of(deployment, function).allow(request), others


def policies_of(deployment: Deployment, function: str) -> Policies:
    (role, _) = resource(deployment, function).properties["Role"]["Fn::GetAtt"]
    return Policies(
        resolved(statement)
        for policy in deployment.all(POLICY, "Api")
        if {"Ref": role} in policy.properties["Roles"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
    )


def table_of(deployment: Deployment, function: str) -> str:
    """Return the table of a function's grants, which is the only one."""
    (table,) = {
        str(each["Resource"])
        for each in policies_of(deployment, function)
        if "dynamodb" in str(each["Action"])
    }
    return table


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "caller"), [(None, CHAT), (DEV.engine, HOSTED)])
def test_the_key_of_another_server_is_read_by_the_function_that_calls_it(
    tmp_path: Path, engine: Engine | None, caller: str
) -> None:
    key = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:theirs-AbCdEf"
    theirs = Hosted(id="theirs", base_url="https://api.example.com/v1", kind="openai", key_secret=key)
    stage = replace(DEV, name="own", engine=engine, hosted=(theirs,))
    app = App(outdir=str(tmp_path), context={**CONTEXT, "aws:cdk:bundling-stacks": []})
    build(app, stage, bundles=Bundles(architecture="arm64"))
    deployment = Deployment(stage, tmp_path, synthesise(app))
    assert deployment.findings == ""
    readers = {
        logical_id
        for logical_id in {CHAT, TODOS, caller}
        if policies_of(deployment, logical_id).allow(Request("secretsmanager:GetSecretValue", key))
    }
    assert readers == {caller}
    assert "bedrock:" not in str(policies_of(deployment, caller)), "it calls none of Bedrock's models"


def test_a_function_s_own_code_cannot_change_the_network(deployment: Deployment) -> None:
    for policy in deployment.all(POLICY, "Api"):
        statements = policy.properties["PolicyDocument"]["Statement"]
        denials = [each["Condition"] for each in statements if each["Effect"] == "Deny"]
        in_network = any("ec2:" in str(each["Action"]) for each in statements)
        assert denials == [{"Null": {"lambda:SourceFunctionArn": "false"}}] * in_network


@pytest.mark.parametrize("stage", ["serverless", "dev", "prod"])
@pytest.mark.parametrize(
    ("logical_id", "number", "timeout_s", "group"), [(CHAT, 0, 900, "Chat"), (TODOS, 1, 75, "Todos")]
)
def test_how_a_function_runs(
    deployments: Mapping[str, Deployment],
    stage: str,
    logical_id: str,
    number: int,
    timeout_s: int,
    group: str,
) -> None:
    wanted = STAGES[stage]
    function = resource(deployments[stage], logical_id).properties
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == [wanted.architecture]
    assert function["Timeout"] == timeout_s
    assert function["MemorySize"] == wanted.memory_mb[number]
    assert function.get("ReservedConcurrentExecutions") == wanted.reserved[number]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert ("SnapStart" in function) is wanted.snap_start
    assert function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/lambda-stream"
    assert function["LoggingConfig"].keys() == {"LogGroup"}, "as text: JSON filters lines without a level"
    if logical_id == CHAT and not wanted.engine:
        assert "VpcConfig" not in function, "Bedrock and DynamoDB need no network of ours"
        return
    network = function["VpcConfig"]
    assert network["Ipv6AllowedForDualStack"] is (wanted.egress == "ipv6")
    assert len(network["SubnetIds"]) == wanted.zones
    assert [f"{group}" in str(each) for each in network["SecurityGroupIds"]] == [True]


def test_each_function_has_only_the_runtime_and_layers_of_its_own(deployment: Deployment) -> None:
    layers = {
        logical_id: {each["Ref"][:-8] for each in resource(deployment, logical_id).properties["Layers"]}
        for logical_id in (CHAT, TODOS)
    }
    assert layers == {
        CHAT: {"Streaming", "ChatDependencies"},
        TODOS: {"Streaming", "TodosDependencies"},
    }


def test_the_function_for_hosted_models_is_the_chat_function_outside_the_network(dev: Deployment) -> None:
    chat, hosted = (resource(dev, each).properties for each in (CHAT, HOSTED))
    for same in ("Code", "Handler", "Layers", "Timeout", "Runtime", "MemorySize"):
        assert hosted[same] == chat[same], same
    assert "VpcConfig" not in hosted
    assert "ReservedConcurrentExecutions" not in hosted


@pytest.mark.parametrize("logical_id", [CHAT, TODOS])
def test_earlier_versions_stay_for_their_streams_and_for_a_rollback(
    deployment: Deployment, logical_id: str
) -> None:
    versions = [
        each
        for each in deployment.all("AWS::Lambda::Version", "Api")
        if each.properties["FunctionName"] == {"Ref": logical_id}
    ]
    assert [each.policies for each in versions] == [("Retain", "Retain")]


@pytest.mark.parametrize("logical_id", [CHAT, TODOS])
def test_each_handler_exists(dev: Deployment, logical_id: str) -> None:
    module, _, name = resource(dev, logical_id).properties["Handler"].rpartition(".")
    assert f"\n{name} = " in (ROOT / f"{module.replace('.', '/')}.py").read_text()


def test_logs_are_kept_as_long_as_the_stage_says(deployment: Deployment) -> None:
    logs = deployment.all("AWS::Logs::LogGroup")
    assert {log.properties.get("RetentionInDays") for log in logs} == {deployment.stage.log_days}
    kept = "Retain" if deployment.stage.keeps_data else "Delete"
    for function in (resource(deployment, CHAT), resource(deployment, TODOS), migrating(deployment)):
        log = resource(deployment, function.properties["LoggingConfig"]["LogGroup"]["Ref"])
        assert log.policies == (kept, kept)


@pytest.mark.parametrize("logical_id", [CHAT, TODOS])
def test_function_urls_stream_from_the_newest_version(deployment: Deployment, logical_id: str) -> None:
    url = deployment.one(
        "AWS::Lambda::Url", "Api", TargetFunctionArn={"Fn::GetAtt": [logical_id, "Arn"]}
    ).properties
    assert url["InvokeMode"] == "RESPONSE_STREAM"
    assert url["Qualifier"] == "live"
    assert url["AuthType"] == deployment.stage.url_auth
    assert "Cors" not in url, "the function answers for itself: each header would be there twice"
    alias = deployment.one("AWS::Lambda::Alias", "Api", FunctionName={"Ref": logical_id}).properties
    version = resource(deployment, alias["FunctionVersion"]["Fn::GetAtt"][0])
    assert version.properties["FunctionName"] == {"Ref": logical_id}


def test_only_the_api_and_the_function_urls_invoke_the_functions(dev: Deployment, prod: Deployment) -> None:
    gateway = {("apigateway.amazonaws.com", "lambda:InvokeFunction")}
    everyone = {("*", "lambda:InvokeFunctionUrl"), ("*", "lambda:InvokeFunction")}
    assert _invokers(prod) == gateway
    assert _invokers(dev) == gateway | everyone
    for permission in dev.all(PERMISSION, "Api"):
        if permission.properties["Principal"] == "*":
            only_by_url = permission.properties.get("InvokedViaFunctionUrl") is True
            assert only_by_url or permission.properties["FunctionUrlAuthType"] == "NONE"
        else:
            assert "execute-api" in str(permission.properties["SourceArn"])


def test_the_database_is_migrated_before_the_todo_function_changes(deployment: Deployment) -> None:
    (trigger,) = deployment.all("Custom::Trigger", "Api")
    version = resource(deployment, trigger.properties["HandlerArn"]["Ref"])
    assert version.properties["FunctionName"] == {"Ref": migrating(deployment).id}
    assert trigger.properties["ExecuteOnHandlerChange"] is True
    assert trigger.properties["InvocationType"] == "RequestResponse"
    assert int(trigger.properties["Timeout"]) == 1000 * migrating(deployment).properties["Timeout"]
    assert trigger.id in resource(deployment, TODOS).entry["DependsOn"]


def test_the_migrating_function_is_in_the_network_of_the_todo_function(deployment: Deployment) -> None:
    function = migrating(deployment).properties
    assert function["VpcConfig"] == resource(deployment, TODOS).properties["VpcConfig"]
    assert function["Timeout"] == 300
    assert function["Runtime"] == "nodejs24.x"


def _invokers(deployment: Deployment) -> set[tuple[str, str]]:
    permissions = deployment.all(PERMISSION, "Api")
    return {(each.properties["Principal"], each.properties["Action"]) for each in permissions}


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _kind(resource: Json | str) -> str:
    text = str(resource)
    names = (
        *("EngineKey", "TodosUser", "DatabaseSecret", "Table", "Scaler", "Log", HOSTED, "foundation-model"),
    )
    return next((name for name in names if name in text), text)
