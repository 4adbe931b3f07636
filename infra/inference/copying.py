"""The build that copies the image and the weights into the account: `programs/supply.py` in CodeBuild.

It runs outside the network, for an order of `infra/inference/ordering.py`. What is there already is not
copied again. A tag is resolved once, when the image is first copied: a tag of ours is never given to another
image.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.log_groups import log_group
from infra.inference.sources import source
from infra.nag import acknowledge
from infra.stages import Engine, Stage

PACKAGES = ("boto3==1.44.5", "huggingface_hub==2.4.0")
# Enough for 140 GB of weights.
BUILD = Duration.hours(2)
QUEUE = Duration.minutes(15)
_PUSH = (
    *("DescribeImages", "BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"),
    *("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"),
)
_REASONS = {
    "CB3": "Copying an image needs a Docker daemon.",
    "CB4": "The build has no artifacts; its copies are encrypted where they are stored.",
    "IAM5[Resource::*]": "ECR's sign-in has no resources.",
}


class Copying(Construct):
    """The build, and what it may do."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        engine: Engine,
        repository: ecr.Repository,
        tag: str,
        bucket: s3.Bucket,
        folder: str,
    ) -> None:
        super().__init__(scope, construct_id)
        marker = f"complete/{folder}"
        log = log_group(self, "Log", stage=stage)
        role = service_role(self, "Role", "codebuild", log)
        for actions, resources in {
            ("s3:ListBucket",): [bucket.bucket_arn],
            ("s3:PutObject", "s3:AbortMultipartUpload"): [
                bucket.arn_for_objects(f"{folder}/*"),
                bucket.arn_for_objects(marker),
            ],
            ("ecr:GetAuthorizationToken",): ["*"],
            tuple(f"ecr:{action}" for action in _PUSH): [repository.repository_arn],
        }.items():
            role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=resources))
        if engine.registry_secret:
            secret = [engine.registry_secret]
            role.add_to_policy(
                iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=secret)
            )
        variables = {
            "TAG": tag,
            "FOLDER": folder,
            "MARKER": marker,
            "IMAGE": engine.image,
            "REPOSITORY": repository.repository_name,
            "REPOSITORY_URI": repository.repository_uri,
            "MODEL": engine.model.id,
            "REVISION": engine.model.revision,
            "BUCKET": bucket.bucket_name,
            **({"REGISTRY_SECRET": engine.registry_secret} if engine.registry_secret else {}),
        }
        self.project = self._project(stage, role, log, variables)
        acknowledge(self, _REASONS)

    def _project(
        self, stage: Stage, role: iam.Role, log: logs.LogGroup, variables: Mapping[str, str]
    ) -> codebuild.Project:
        return codebuild.Project(
            self,
            "Build",
            description=f"Chatbot API, {stage.name}: copies the engine's image and weights here",
            # CDK would allow it to write to a log that is not its own.
            role=role.without_policy_updates(),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6,
                compute_type=codebuild.ComputeType.MEDIUM,  # 128 GB of disk; the image needs 35 meanwhile
                privileged=True,
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value) for name, value in variables.items()
            },
            build_spec=codebuild.BuildSpec.from_object_to_yaml(build_spec()),
            timeout=BUILD,
            queued_timeout=QUEUE,
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log)),
        )


def build_spec() -> dict[str, object]:
    """Return what CodeBuild runs; the result is signalled also after a failure."""
    return {
        "version": "0.2",
        "phases": {
            "build": {
                "commands": [
                    f"cat > supply.py <<'PROGRAM'\n{source('supply')}PROGRAM\n",
                    "python3 -m venv packages",
                    f"packages/bin/pip install --quiet {' '.join(PACKAGES)}",
                    "packages/bin/python supply.py copy",
                ],
                "finally": ["python3 supply.py signal"],
            }
        },
    }


def service_role(scope: Construct, construct_id: str, service: str, log: logs.LogGroup) -> iam.Role:
    """Make a service's role, which may write to its own log."""
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"))
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn]
        )
    )
    return role
