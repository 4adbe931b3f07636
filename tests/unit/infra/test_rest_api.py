"""The REST API: it streams, it throttles, it logs no content, and its own errors are OpenAI's."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Match, Template

from functions.chat.errors import ApiError, RateLimited, ServerError, UpstreamTimeout
from infra import environments
from infra.constructs.firewall import RULES
from infra.constructs.gateway_errors import ERRORS, GatewayError
from infra.constructs.rest_api import StreamingRestApi
from infra.stages import DEV, Domain, Stage

from .templates import Deployment

METHOD, STAGE, ACL = "AWS::ApiGateway::Method", "AWS::ApiGateway::Stage", "AWS::WAFv2::WebACL"
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/0a1b2c3d"


def synthesised(stage: Stage) -> Template:
    """Synthesise a REST API before functions that are not ours."""
    stack = Stack(App(), "Api")
    function = lambda_.Function(
        stack,
        "Function",
        code=lambda_.Code.from_inline("-"),
        handler="index.handler",
        runtime=lambda_.Runtime.PYTHON_3_13,
    )
    live = function.add_alias("live")
    StreamingRestApi(stack, "Api", stage=stage, chat=live, chat_timeout_s=900, todos=live, todos_timeout_s=30)
    return Template.from_stack(stack)


def test_every_path_streams_from_the_function_that_it_is_for(deployment: Deployment) -> None:
    found = set()
    for method in deployment.all(METHOD, "Api"):
        integration = method.properties["Integration"]
        alias = "Todos" if "TodosFunctionLive" in str(integration["Uri"]) else "Chat"
        found.add((alias, integration["TimeoutInMillis"]))
        assert method.properties["HttpMethod"] == "ANY", "preflights reach the functions too"
        assert integration["Type"] == "AWS_PROXY"
        assert integration["ResponseTransferMode"] == "STREAM"
        assert "response-streaming-invocations" in str(integration["Uri"])
        assert "FunctionLive" in str(integration["Uri"]), "the newest version, not what is being made"
    assert found == {("Chat", 900_000), ("Todos", 75_000)}
    assert len(deployment.all(METHOD, "Api")) == 4
    paths = {each.properties["PathPart"] for each in deployment.all("AWS::ApiGateway::Resource", "Api")}
    assert paths == {"{proxy+}", "graphql"}


def test_requests_are_sent_to_a_function_once_it_may_be_invoked(deployment: Deployment) -> None:
    (deployed,) = deployment.all("AWS::ApiGateway::Deployment")
    permissions = {
        each.id
        for each in deployment.all("AWS::Lambda::Permission", "Api")
        if each.properties["Principal"] == "apigateway.amazonaws.com"
    }
    assert len(permissions) == 2
    assert permissions <= set(deployed.entry["DependsOn"])


def test_each_function_is_invoked_for_every_path_by_one_permission_and_by_no_other_api(
    deployment: Deployment,
) -> None:
    (api,) = deployment.all("AWS::ApiGateway::RestApi", "Api")
    sources = [
        str(each.properties["SourceArn"])
        for each in deployment.all("AWS::Lambda::Permission", "Api")
        if each.properties["Principal"] == "apigateway.amazonaws.com"
    ]
    assert len(sources) == 2
    for source in sources:
        assert f"{{'Ref': '{api.id}'}}" in source
        assert "/*/*/*" in source


def test_a_whole_reply_ends_before_the_gateway_stops_to_wait_for_a_byte() -> None:
    # API Gateway, "Stream the integration response": 5 minutes without a byte, for a regional API.
    assert environments.REPLY_TIMEOUT_S + 10 <= 5 * 60


@pytest.mark.parametrize(("role", "accounts", "logs"), [("ours", 1, 2), ("theirs", 0, 2), ("none", 0, 0)])
def test_the_account_s_role_for_logs_is_only_set_where_it_is_ours(
    role: Any, accounts: int, logs: int
) -> None:
    template = synthesised(replace(DEV, gateway_role=role))
    template.resource_count_is("AWS::ApiGateway::Account", accounts)
    template.resource_count_is("AWS::Logs::LogGroup", logs)
    (stage,) = template.find_resources(STAGE).values()
    assert ("AccessLogSetting" in stage["Properties"]) is (logs > 0)
    (settings,) = stage["Properties"]["MethodSettings"]
    assert settings["ThrottlingRateLimit"] == DEV.rate
    assert settings.get("LoggingLevel") == ("ERROR" if logs else None)


def test_the_api_is_regional_and_turns_nothing_into_base64(deployment: Deployment) -> None:
    (api,) = deployment.all("AWS::ApiGateway::RestApi", "Api")
    assert api.properties["EndpointConfiguration"]["Types"] == ["REGIONAL"]
    assert "BinaryMediaTypes" not in api.properties
    assert "MinimumCompressionSize" not in api.properties


def test_requests_are_throttled_and_no_body_is_traced(deployment: Deployment) -> None:
    (stage,) = deployment.all(STAGE, "Api")
    (settings,) = stage.properties["MethodSettings"]
    assert settings == {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "DataTraceEnabled": False,
        "LoggingLevel": "ERROR",
        "ThrottlingRateLimit": deployment.stage.rate,
        "ThrottlingBurstLimit": deployment.stage.burst,
    }
    assert stage.properties["StageName"] == deployment.stage.name
    assert stage.properties["TracingEnabled"] is True


def test_the_access_log_has_the_time_of_the_first_token_and_no_content(dev: Deployment) -> None:
    (stage,) = dev.all(STAGE, "Api")
    log = json.loads(stage.properties["AccessLogSetting"]["Format"])
    values = set(log.values())
    assert all(value.startswith("$context.") for value in values)
    times = {f"$context.integration.timeTo{what}" for what in ("FirstContent", "AllHeaders")}
    assert times < values
    for private in ("header", "query", "body", "useragent", "authorizer", "apikey"):
        assert not [value for value in values - times if private in value.lower()]


def test_the_log_of_the_gateway_is_ours_before_the_gateway_makes_one(deployment: Deployment) -> None:
    (stage,) = deployment.all(STAGE, "Api")
    logs = [
        each
        for each in deployment.all("AWS::Logs::LogGroup", "Api")
        if "API-Gateway-Execution-Logs_" in str(each.properties.get("LogGroupName"))
    ]
    assert [each.id in stage.entry["DependsOn"] for each in logs] == [True]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_the_gateway_is_in_the_shape_of_the_functions(name: str) -> None:
    body = json.loads(ERRORS[name].body().replace("$context.error.messageString", '"its text"'))
    assert body.keys() == ServerError("").body().keys()
    assert body["error"].keys() == ServerError("").body()["error"].keys()
    assert body["error"]["message"]


@pytest.mark.parametrize(
    ("name", "error"),
    [("Throttled", RateLimited), ("Timeout", UpstreamTimeout), ("Server", ServerError), ("Client", ApiError)],
)
def test_an_error_of_the_gateway_has_the_type_and_code_of_the_functions(
    name: str, error: type[ApiError]
) -> None:
    assert (ERRORS[name].type, ERRORS[name].code) == (error.type, error.default_code)


def test_a_template_stays_json_whatever_its_text() -> None:
    error = GatewayError(kind=ERRORS["Client"].kind, message='a "quoted" one')
    assert json.loads(error.body())["error"]["message"] == 'a "quoted" one'


def test_web_pages_may_read_the_gateway_s_errors_only_where_they_may_call() -> None:
    open_to_pages = synthesised(replace(DEV, cors_origins=("https://app.example.com",)))
    header = {"gatewayresponse.header.access-control-allow-origin": "'*'"}
    open_to_pages.all_resources_properties(
        "AWS::ApiGateway::GatewayResponse", {"ResponseParameters": Match.object_like(header)}
    )
    assert "access-control" not in json.dumps(synthesised(DEV).to_json())


def test_an_api_with_a_domain_requires_tls_1_2() -> None:
    template = synthesised(replace(DEV, domain=Domain(name="api.example.com", certificate_arn=CERTIFICATE)))
    template.has_resource_properties(
        "AWS::ApiGateway::DomainName",
        {
            "DomainName": "api.example.com",
            "RegionalCertificateArn": CERTIFICATE,
            "SecurityPolicy": "TLS_1_2",
            "EndpointConfiguration": {"Types": ["REGIONAL"]},
        },
    )
    template.has_resource_properties(
        "AWS::ApiGateway::BasePathMapping", {"BasePath": Match.absent(), "Stage": Match.any_value()}
    )


def test_the_outputs_are_what_a_user_needs_next(deployment: Deployment) -> None:
    assert deployment.outputs("Api").keys() == {"ApiUrl", "ChatUrl", "TodosUrl", "FirstKey"}


def test_the_command_for_the_first_key_is_one_that_the_command_line_takes(deployment: Deployment) -> None:
    from tests.unit.keys.store import MemoryStore, invoke_in, session_of

    session = session_of(MemoryStore())
    program, _, arguments = deployment.outputs("Api")["FirstKey"]["Value"].partition(" -m functions.keys ")
    assert invoke_in(session, *arguments.split()).new_text
    assert program == ".venv/bin/python"
    assert session.location.stack == f"Chatbot{deployment.stage.name.capitalize()}Data"


def test_only_prod_has_a_firewall_and_it_stands_before_the_api(dev: Deployment, prod: Deployment) -> None:
    assert not dev.all(ACL)
    (acl,) = prod.all(ACL)
    assert acl.properties["Scope"] == "REGIONAL"
    (association,) = prod.all("AWS::WAFv2::WebACLAssociation")
    assert association.properties["WebACLArn"] == {"Fn::GetAtt": [acl.id, "Arn"]}
    (stage,) = prod.all(STAGE, "Api")
    assert {"Ref": stage.id} in association.properties["ResourceArn"]["Fn::Join"][1]


def test_the_firewall_lets_chats_hold_any_text(prod: Deployment) -> None:
    counted = _counted(prod)
    assert counted == {name: set(rules) for name, rules in RULES.items()}
    bodies = {rule for rules in counted.values() for rule in rules if rule.endswith("_BODY")}
    assert bodies >= {"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "Log4JRCE_BODY"}
    assert "AWSManagedRulesSQLiRuleSet" not in counted


def test_one_address_may_use_half_of_the_api_s_rate(prod: Deployment) -> None:
    (acl,) = prod.all(ACL)
    rule = min(acl.properties["Rules"], key=lambda each: each["Priority"])
    limits = rule["Statement"]["RateBasedStatement"]
    assert rule["Action"] == {"Block": {}}
    assert limits["Limit"] / limits["EvaluationWindowSec"] == prod.stage.rate / 2


def test_the_firewall_keeps_no_samples_of_requests(prod: Deployment) -> None:
    (acl,) = prod.all(ACL)
    for each in (acl.properties, *acl.properties["Rules"]):
        assert each["VisibilityConfig"]["SampledRequestsEnabled"] is False


def _counted(deployment: Deployment) -> dict[str, set[str]]:
    """Return the rules of each group that count only."""
    (acl,) = deployment.all(ACL)
    groups: list[dict[str, Any]] = [
        rule["Statement"]["ManagedRuleGroupStatement"]
        for rule in acl.properties["Rules"]
        if "ManagedRuleGroupStatement" in rule["Statement"]
    ]
    return {group["Name"]: {each["Name"] for each in group["RuleActionOverrides"]} for group in groups}
