"""A Python function behind our runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Annotations, Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.function_role import function_role
from infra.constructs.log_groups import kept_log
from infra.nag import acknowledge
from infra.stacks.network import NetworkStack
from infra.stages import Stage

PYTHON = lambda_.Runtime.PYTHON_3_13
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
URL_AUTH = {"NONE": lambda_.FunctionUrlAuthType.NONE, "AWS_IAM": lambda_.FunctionUrlAuthType.AWS_IAM}


class StreamingFunction(Construct):
    """A function that streams, its role, its log, and what leads to it.

    Shape:  `construct_id` is the logical id of the function, too: `sam local invoke` names it. `live`: the
            alias of its newest version, which both front doors invoke. `url`: the Function URL.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: NetworkStack,
        group: ec2.SecurityGroup,
        description: str,
        code: lambda_.Code,
        handler: str,
        layers: Sequence[lambda_.LayerVersion],
        environment: Mapping[str, str],
        memory_mb: int,
        timeout_s: int,
        reserved: int | None,
    ) -> None:
        super().__init__(scope, construct_id)
        log = kept_log(self, "Log", stage=stage)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=PYTHON,
            architecture=ARCHITECTURES[stage.architecture],
            code=code,
            handler=handler,
            layers=list(layers),
            environment={**environment, "AWS_LAMBDA_EXEC_WRAPPER": "/opt/lambda-stream"},
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_s),
            reserved_concurrent_executions=reserved,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if stage.snap_start else None,
            tracing=lambda_.Tracing.ACTIVE,
            role=function_role(self, "Role", log=log),
            # As text: a level that JSON is filtered by would also be asked of the lines that carry metrics.
            log_group=log,
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[group],
        )
        cast(lambda_.CfnFunction, self.function.node.default_child).override_logical_id(construct_id)
        acknowledge(self.function, {"L1": "Python 3.13 is what the runtime in the layer is tested on."})
        Annotations.of(self.function).acknowledge_warning(
            "@aws-cdk/aws-lambda:snapStartRequirePublish", "`live` is an alias of a published version."
        )
        self.live = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
        self.url = self.live.add_function_url(
            auth_type=URL_AUTH[stage.url_auth], invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM
        )
