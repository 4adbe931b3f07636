"""The REST API: each request goes to a function, and each response is streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.gateway_errors import add_gateway_errors
from infra.constructs.log_groups import log_group
from infra.nag import acknowledge
from infra.stages import Stage

# Never a header, a query or a body: they hold keys and what people write.
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
    "APIG2": "The functions check requests themselves, and their errors have the shape that clients expect.",
    "APIG4": "API keys are checked by the functions, in OpenAI's `authorization: Bearer` header.",
    "COG4": "Callers are programs with API keys; there are no users to sign in.",
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]": (
        "API Gateway writes its logs by one role of the account, for which AWS names this policy."
    ),
}
_REASONS_WITHOUT_LOGS = {
    "APIG1": 'The stage has `gateway_role="none"`: the account\'s role for logs is not touched.',
    "APIG6": 'The stage has `gateway_role="none"`: the account\'s role for logs is not touched.',
}
_REASONS_WITHOUT_FIREWALL = {
    "APIG3": "A firewall has a monthly price; this stage goes without, behind API keys and throttling.",
}


class StreamingRestApi(Construct):
    """A REST API before the functions, its logs, and a domain name of its own where the stage has one.

    Shape:  `chat_before`: what it may have led to before, which stays: requests may be sent there until the
            change has reached all of API Gateway. `url`: where it is reached, with a slash at its end.
            `target`: where the DNS record of its own name has to point; None: it has no such name.
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
        chat_before: lambda_.Alias | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = self._rest_api(stage)
        if chat_before:
            chat_before.add_permission(
                "Api",
                principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
                source_arn=self.api.arn_for_execute_api(),
            )
        _route(self.api.root, chat, chat_timeout_s)
        _route(self.api.root.add_resource("graphql"), todos, todos_timeout_s)
        add_gateway_errors(self.api, cors_origins=stage.cors_origins, firewall=stage.waf)
        # Requests are sent to another function only once it may be invoked.
        for each in self.api.node.find_all():
            if isinstance(each, lambda_.CfnPermission) and self.api.latest_deployment:
                self.api.latest_deployment.node.add_dependency(each)
        if stage.gateway_role != "none":
            # Made before API Gateway makes the log group of its own errors, which would never expire.
            name = f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{stage.name}"
            log = log_group(self.api, "ExecutionLog", stage=stage, name=name)
            self.api.deployment_stage.node.add_dependency(log)
        self.url, self.target = self.api.url, None
        if stage.domain:
            arn = stage.domain.certificate_arn
            domain = apigateway.DomainName(
                self.api,
                "Name",
                mapping=self.api,
                domain_name=stage.domain.name,
                certificate=acm.Certificate.from_certificate_arn(self.api, "Certificate", arn),
                endpoint_type=apigateway.EndpointType.REGIONAL,
                security_policy=apigateway.SecurityPolicy.TLS_1_2,
            )
            self.url, self.target = f"https://{domain.domain_name}/", domain.domain_name_alias_domain_name

    def _rest_api(self, stage: Stage) -> apigateway.RestApi:
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=f"Chatbot {stage.name}",
            description="Chat completions, and todos at /graphql",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # The account's role for logs, without which no API of this region can write any.
            cloud_watch_role=stage.gateway_role == "ours",
            deploy_options=self._deploy_options(stage),
        )
        api.node.try_remove_child("Endpoint")  # the stack has an output of its own
        reasons = dict(_REASONS)
        if not stage.waf:
            reasons |= _REASONS_WITHOUT_FIREWALL
        if stage.gateway_role == "none":
            reasons |= _REASONS_WITHOUT_LOGS
        acknowledge(api, reasons)
        return api

    def _deploy_options(self, stage: Stage) -> apigateway.StageOptions:
        logs: Mapping[str, Any] = {}
        if stage.gateway_role != "none":
            log = log_group(self, "AccessLog", stage=stage, is_data=True)
            logs = {
                "access_log_destination": apigateway.LogGroupLogDestination(log),
                "access_log_format": apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
                "logging_level": apigateway.MethodLoggingLevel.ERROR,
            }
        return apigateway.StageOptions(
            stage_name=stage.name,
            throttling_rate_limit=stage.rate,
            throttling_burst_limit=stage.burst,
            data_trace_enabled=False,
            tracing_enabled=True,
            **logs,
        )


def _route(resource: apigateway.IResource, function: lambda_.Alias, timeout_s: int) -> None:
    """Send a path and all below it to a function; also preflights, which the function checks itself."""
    integration = apigateway.LambdaIntegration(
        function,
        response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
        timeout=Duration.seconds(timeout_s),
        # One permission for the whole API, instead of one for each path.
        scope_permission_to_method=False,
    )
    resource.add_method("ANY", integration)
    resource.add_resource("{proxy+}").add_method("ANY", integration)
