"""The REST API: all that is asked goes to a function, and all that comes back is streamed."""

from __future__ import annotations

import json

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.gateway_errors import answer_errors
from infra.constructs.log_groups import kept_log
from infra.constructs.retention import retention
from infra.nag import acknowledge
from infra.stages import Domain, Stage

# Never a header, a query or a body: they hold keys and what people say.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "responseBytes": "$context.responseLength",
    "latencyMs": "$context.responseLatency",
    "integrationStatus": "$context.integration.status",
    "integrationLatencyMs": "$context.integration.latency",
    "transferMode": "$context.integration.responseTransferMode",
    "timeToAllHeadersMs": "$context.integration.timeToAllHeaders",
    "timeToFirstContentMs": "$context.integration.timeToFirstContent",
    "waf": "$context.waf.status",
    "trace": "$context.xrayTraceId",
}
_REASONS = {
    "APIG2": "The functions check every request themselves and answer in the shape that clients expect.",
    "APIG4": "API keys are checked by the functions, in OpenAI's `authorization: Bearer` header.",
    "COG4": "Callers are programs with API keys; there are no users to sign in.",
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]": (
        "API Gateway writes its logs by one role of the account, for which AWS names this policy."
    ),
}
_REASONS_WITHOUT_FIREWALL = {
    "APIG3": "A firewall has a monthly price; this stage goes without, behind API keys and throttling.",
}


class FrontDoor(Construct):
    """A REST API before the functions, its logs, and its own name where the stage has one.

    Shape:  `url`: where it is reached, with a slash at its end. `target`: where the DNS record of its own
            name has to point; None: it has no such name.
    Source: API Gateway, "Stream the integration response", read 2026-11-23: up to 15 minutes, and 5 without
            a byte.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        chat: lambda_.Alias,
        chat_timeout_s: int,
        todos: lambda_.Alias,
        todos_timeout_s: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = _api(self, stage)
        _route(self.api.root, _streamed(chat, chat_timeout_s))
        _route(self.api.root.add_resource("graphql"), _streamed(todos, todos_timeout_s))
        answer_errors(self.api, cors_origins=stage.cors_origins)
        _keep_execution_log(self.api, stage)
        name = _name(self.api, stage.domain) if stage.domain else None
        self.url = f"https://{name.domain_name}/" if name else self.api.url
        self.target = name.domain_name_alias_domain_name if name else None


def _api(scope: Construct, stage: Stage) -> apigateway.RestApi:
    api = apigateway.RestApi(
        scope,
        "Api",
        rest_api_name=f"Chatbot {stage.name}",
        description="Chat completions, and todos at /graphql",
        endpoint_types=[apigateway.EndpointType.REGIONAL],
        # The account's own leave to write logs, without which no API in this region can.
        cloud_watch_role=True,
        deploy_options=_stage_options(scope, stage),
    )
    api.node.try_remove_child("Endpoint")  # the stack has an output of its own
    acknowledge(api, _REASONS if stage.waf else _REASONS | _REASONS_WITHOUT_FIREWALL)
    return api


def _stage_options(scope: Construct, stage: Stage) -> apigateway.StageOptions:
    log = kept_log(scope, "AccessLog", stage=stage)
    return apigateway.StageOptions(
        stage_name=stage.name,
        throttling_rate_limit=stage.rate,
        throttling_burst_limit=stage.burst,
        access_log_destination=apigateway.LogGroupLogDestination(log),
        access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
        logging_level=apigateway.MethodLoggingLevel.ERROR,
        data_trace_enabled=False,
        tracing_enabled=True,
    )


def _streamed(function: lambda_.Alias, timeout_s: int) -> apigateway.LambdaIntegration:
    return apigateway.LambdaIntegration(
        function,
        response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
        timeout=Duration.seconds(timeout_s),
        allow_test_invoke=False,
    )


def _route(resource: apigateway.IResource, integration: apigateway.LambdaIntegration) -> None:
    """Send a path and all below it to a function, preflights included: it knows who may ask."""
    resource.add_method("ANY", integration)
    resource.add_resource("{proxy+}").add_method("ANY", integration)


def _keep_execution_log(api: apigateway.RestApi, stage: Stage) -> None:
    """Make the log of API Gateway's own errors before it does, for it would keep it for ever."""
    log = logs.LogGroup(
        api,
        "ExecutionLog",
        log_group_name=f"API-Gateway-Execution-Logs_{api.rest_api_id}/{stage.name}",
        retention=retention(stage.log_days),
        removal_policy=RemovalPolicy.DESTROY,
    )
    api.deployment_stage.node.add_dependency(log)


def _name(api: apigateway.RestApi, domain: Domain) -> apigateway.DomainName:
    return apigateway.DomainName(
        api,
        "Name",
        mapping=api,
        domain_name=domain.name,
        certificate=acm.Certificate.from_certificate_arn(api, "Certificate", domain.certificate_arn),
        endpoint_type=apigateway.EndpointType.REGIONAL,
        security_policy=apigateway.SecurityPolicy.TLS_1_2,
    )
