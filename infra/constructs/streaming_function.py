"""A Python function that runs under our streaming runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from aws_cdk import Annotations, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.function_role import function_role
from infra.constructs.log_groups import log_group
from infra.constructs.managed_machines import ManagedMachines
from infra.nag import acknowledge
from infra.stages import Stage

PYTHON = lambda_.Runtime.PYTHON_3_13
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
_SNAP_START = "@aws-cdk/aws-lambda:snapStartRequirePublish", "`live` is an alias of a published version."
URL_AUTH = {"NONE": lambda_.FunctionUrlAuthType.NONE, "AWS_IAM": lambda_.FunctionUrlAuthType.AWS_IAM}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the network a function is, and whether it may call by IPv6."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    security_group: ec2.ISecurityGroup
    ipv6: bool


class StreamingFunction(Construct):
    """A function that streams, its role, its log group, its alias and its Function URL.

    Shape:  `construct_id` is also the logical id of the function: `sam local invoke` names it. `live`: the
            alias of its newest version, which API Gateway and the Function URL invoke. `place`: None: it is
            outside the network, from where it reaches AWS and the internet. `machines`: it runs on them, many
            requests in one environment, and is in the network by them. `name`: None: CloudFormation makes
            one, which other stacks import. `url_auth`: who may call its Function URL; None: as
            the stage says. On demand, earlier versions stay until the function is deleted: they finish
            their streams, and the alias can be moved back to them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        place: Place | None,
        description: str,
        code: lambda_.Code,
        handler: str,
        layers: Sequence[lambda_.LayerVersion],
        environment: Mapping[str, str],
        memory_mb: int,
        timeout_s: int,
        reserved: int | None,
        url_auth: Literal["AWS_IAM"] | None = None,
        machines: ManagedMachines | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log = log_group(self, "Log", stage=stage, is_data=True)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=description,
            runtime=PYTHON,
            architecture=ARCHITECTURES[stage.architecture],
            code=code,
            handler=handler,
            layers=list(layers),
            environment={**environment, "AWS_LAMBDA_EXEC_WRAPPER": "/opt/lambda-stream"},
            memory_size=memory_mb,
            timeout=Duration.seconds(timeout_s),
            tracing=lambda_.Tracing.ACTIVE,
            role=function_role(self, "Role", log=log, in_network=place is not None),
            log_group=log,
            **(machines.function_options if machines else _on_demand(stage, place, reserved)),
        )
        if machines:
            machines.run(self.function)
        cast(lambda_.CfnFunction, self.function.node.default_child).override_logical_id(construct_id)
        acknowledge(self.function, {"L1": "The runtime in the layer is tested on Python 3.13."})
        Annotations.of(self.function).acknowledge_warning(*_SNAP_START)
        self.name = name or self.function.function_name
        self.live = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
        self.url = self.live.add_function_url(
            auth_type=URL_AUTH[url_auth or stage.url_auth], invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM
        )


def _on_demand(stage: Stage, place: Place | None, reserved: int | None) -> Mapping[str, Any]:
    """Return how a function is made that has an environment for each request.

    Its logs are text: with JSON, lines without a level, such as those that carry metrics, are filtered out.
    """
    return {
        "reserved_concurrent_executions": reserved,
        "snap_start": lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if stage.snap_start else None,
        "vpc": place.vpc if place else None,
        "vpc_subnets": place.subnets if place else None,
        "security_groups": [place.security_group] if place else None,
        "ipv6_allowed_for_dual_stack": place.ipv6 if place else None,
        "current_version_options": lambda_.VersionOptions(removal_policy=RemovalPolicy.RETAIN),
    }
