"""The build that copies the image and the weights into the account.

It runs outside the network, is started when the stack is deployed with another image, model or revision, and
the deployment waits until it says how it went. A wait condition waits once in its life, so its name changes
with what is ordered. What is there already is not copied again.
"""

from __future__ import annotations

import hashlib

from aws_cdk import CfnWaitCondition, CfnWaitConditionHandle, Duration, RemovalPolicy, custom_resources
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.retention import retention
from infra.inference.sources import source
from infra.nag import acknowledge
from infra.stages import Engine, Stage

PACKAGES = ("boto3==1.44.5", "huggingface_hub==2.4.0")
# Enough for 140 GB of weights.
_BUILD = Duration.hours(2)
_QUEUE = Duration.minutes(15)
# The build's own word comes before the deployment gives it up.
WAIT_S = int(_BUILD.to_seconds() + _QUEUE.to_seconds()) + 600
_PUSH = (
    *("DescribeImages", "BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"),
    *("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"),
)
_REASONS = {
    "CB3": "Copying an image takes a Docker daemon of its own.",
    "CB4": "The build leaves no artifacts; what it copies is encrypted where it is kept.",
    "IAM5[Resource::*]": "Signing in to ECR knows no resources.",
}


class Copying(Construct):
    """A build, its start, and the wait for its end.

    Shape:  `ready`: what must not be made before the image and the weights are there depends on it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        repository: ecr.Repository,
        tag: str,
        bucket: s3.Bucket,
        folder: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage, self._repository, self._bucket = stage, repository, bucket
        project = self._project({"TAG": tag, "FOLDER": folder, "MARKER": f"complete/{folder}"})
        self.ready = self._order(project, order(stage.engine))
        acknowledge(self, _REASONS)

    def _project(self, variables: dict[str, str]) -> codebuild.Project:
        log = self._log("Log")
        role = self._role("Role", "codebuild", log)
        for statement in self._needs(variables["FOLDER"], variables["MARKER"]):
            role.add_to_policy(statement)
        variables |= {
            "IMAGE": self._stage.engine.image,
            "REPOSITORY": self._repository.repository_name,
            "REPOSITORY_URI": self._repository.repository_uri,
            "MODEL": self._stage.engine.model.id,
            "REVISION": self._stage.engine.model.revision,
            "BUCKET": self._bucket.bucket_name,
        }
        return codebuild.Project(
            self,
            "Build",
            description=f"Chatbot API, {self._stage.name}: copies the engine's image and weights here",
            # CDK would let it write to a log that is not its own.
            role=role.without_policy_updates(),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.AMAZON_LINUX_2023_6,
                compute_type=codebuild.ComputeType.MEDIUM,  # 128 GB of disk; the image takes 35 meanwhile
                privileged=True,
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value) for name, value in variables.items()
            },
            build_spec=codebuild.BuildSpec.from_object_to_yaml(build_spec()),
            timeout=_BUILD,
            queued_timeout=_QUEUE,
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log)),
        )

    def _needs(self, folder: str, marker: str) -> list[iam.PolicyStatement]:
        """Return what the build may do: fill this folder, set its marker, and push to this registry."""
        files = self._bucket.arn_for_objects
        return [
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self._bucket.bucket_arn]),
            iam.PolicyStatement(
                actions=["s3:PutObject", "s3:AbortMultipartUpload"],
                resources=[files(f"{folder}/*"), files(marker)],
            ),
            iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
            iam.PolicyStatement(
                actions=[f"ecr:{action}" for action in _PUSH], resources=[self._repository.repository_arn]
            ),
        ]

    def _order(self, project: codebuild.Project, name: str) -> CfnWaitCondition:
        """Start the build once for each order, and wait for its word."""
        log = self._log("CallLog")
        role = self._role("CallRole", "lambda", log)
        role.add_to_policy(
            iam.PolicyStatement(actions=["codebuild:StartBuild"], resources=[project.project_arn])
        )
        handle = CfnWaitConditionHandle(self, f"Handle{name}")
        start = custom_resources.AwsCustomResource(
            self,
            f"Start{name}",
            resource_type="Custom::StartBuild",
            on_create=custom_resources.AwsSdkCall(
                service="CodeBuild",
                action="startBuild",
                parameters={
                    "projectName": project.project_name,
                    "environmentVariablesOverride": [{"name": "SIGNAL_URL", "value": handle.ref}],
                },
                physical_resource_id=custom_resources.PhysicalResourceId.of(name),
                output_paths=["build.id"],
            ),
            role=role,
            install_latest_aws_sdk=False,
            log_group=log,
        )
        # A build that starts before its role may do anything would fail.
        start.node.add_dependency(project.role or project)
        ready = CfnWaitCondition(self, f"Ready{name}", count=1, handle=handle.ref, timeout=str(WAIT_S))
        ready.node.add_dependency(start)
        return ready

    def _role(self, construct_id: str, service: str, log: logs.LogGroup) -> iam.Role:
        """Make a service's role, which may write to its own log."""
        role = iam.Role(self, construct_id, assumed_by=iam.ServicePrincipal(f"{service}.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log.log_group_arn]
            )
        )
        return role

    def _log(self, construct_id: str) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            construct_id,
            retention=retention(self._stage.log_days),
            removal_policy=RemovalPolicy.DESTROY,
        )


def build_spec() -> dict[str, object]:
    """Return what CodeBuild runs; the end is told whatever came before."""
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


def order(engine: Engine) -> str:
    """Return the name of what is to be fetched: another one for another image, model or revision."""
    text = "\n".join((engine.image, engine.model.id, engine.model.revision))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
