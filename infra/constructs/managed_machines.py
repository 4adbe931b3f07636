"""Machines of EC2's that Lambda launches, and ends, for one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import instances
from infra.constructs.log_groups import log_group
from infra.nag import acknowledge
from infra.stages import ManagedInstances, Stage

_POLICY = "AWSLambdaManagedEC2ResourceOperator"
_REASONS = {
    f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]": (
        "Lambda launches the machines by this role, for which its documentation names this policy."
    ),
}


class ManagedMachines(Construct):
    """A capacity provider for one function, and the way in which that function differs from one on demand.

    The function is in the network by its machines, and so are its logs and traces: all leave by the machines'
    subnets. There are no reserved environments and no snapshots.
    Source: AWS Lambda, "Scaling Lambda Managed Instances", "Networking for Lambda Managed Instances",
            "$LATEST.PUBLISHED version in Lambda Managed Instances", "Lambda operator role", "Log-level
            filtering", read 2026-11-28.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        settings: ManagedInstances,
        architecture: lambda_.Architecture,
        subnets: Sequence[ec2.ISubnet],
        security_group: ec2.ISecurityGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self.memory_mb = settings.memory_gib * 1024
        self._settings = settings
        self._provider = lambda_.CapacityProvider(
            self,
            "Provider",
            subnets=subnets,
            security_groups=[security_group],
            architectures=[architecture],
            instance_type_filter=lambda_.InstanceTypeFilter.allow(
                [ec2.InstanceType(each) for each in settings.instance_types]
            ),
            max_v_cpu_count=instances.most_vcpus(settings),
            # By itself Lambda makes one that never expires.
            log_group=log_group(self, "Log", stage=stage),
            # The machines are a line of EC2's bill, which has a stage's own costs by this tag.
            propagate_tags=lambda_.PropagateTags.explicit({"chatbot:stage": stage.name}),
        )
        acknowledge(self, _REASONS)

    @property
    def function_options(self) -> Mapping[str, Any]:
        """How a function on these machines is made: for `lambda_.Function`."""
        least, most = self._settings.environments
        return {
            # Text is not supported. A line without a level, as of metrics, counts as INFO; the runtime sets
            # Python's own level to this one, so that a lower one would log what libraries do.
            "logging_format": lambda_.LoggingFormat.JSON,
            "application_log_level_v2": lambda_.ApplicationLogLevel.INFO,
            "current_version_options": lambda_.VersionOptions(
                min_execution_environments=least,
                max_execution_environments=most,
                # One that stays keeps its own environments, which are paid for.
                removal_policy=RemovalPolicy.DESTROY,
            ),
        }

    def run(self, function: lambda_.Function) -> None:
        """Run a function's published versions on the machines.

        An alias leads to them, so there is no version `$LATEST.PUBLISHED`: it would have environments of its
        own, beside those of the version that is called.
        """
        self._provider.add_function(
            function,
            per_execution_environment_max_concurrency=self._settings.concurrency,
            # As much as all of its memory: one vCPU.
            execution_environment_memory_gib_per_v_cpu=self._settings.memory_gib,
            publish_to_latest_published=False,
        )
