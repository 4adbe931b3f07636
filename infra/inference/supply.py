"""The image and the weights, copied into the account before the engine needs them: it has no internet."""

from __future__ import annotations

import re

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.inference.copying import Copying
from infra.nag import acknowledge
from infra.stages import Engine, Stage


class Supply(Construct):
    """A registry and a bucket, and the build that fills them.

    Shape:  `model_path`: where vLLM finds the weights. `build`: what an order starts.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, engine: Engine) -> None:
        super().__init__(scope, construct_id)
        policy = RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY
        model = engine.model
        self._folder = f"models/{model.id}/{model.revision}"
        self.repository = ecr.Repository(
            self,
            "Registry",
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=3, description="The last three engines")],
            removal_policy=policy,
            empty_on_delete=policy == RemovalPolicy.DESTROY,
        )
        self.bucket = s3.Bucket(
            self,
            "Models",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1))],
            removal_policy=policy,
            auto_delete_objects=policy == RemovalPolicy.DESTROY,
        )
        acknowledge(self.bucket, {"S1": "It holds public weights; the engine's log says when they are read."})
        self.model_path = f"s3://{self.bucket.bucket_name}/{self._folder}"
        self.build = Copying(
            self,
            "Copying",
            stage=stage,
            engine=engine,
            repository=self.repository,
            tag=tag(engine.image),
            bucket=self.bucket,
            folder=self._folder,
        ).project
        bucket = self.bucket.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        acknowledge(self, self._reasons(f"<{Stack.of(self).get_logical_id(bucket)}.Arn>"))

    @property
    def reasons(self) -> dict[str, str]:
        """What to acknowledge to cdk-nag in another stack, where all files of the model may be read."""
        stack = Stack.of(self)
        imported = stack.resolve(stack.export_value(self.bucket.bucket_arn))
        return self._reasons(imported["Fn::ImportValue"])

    def _reasons(self, bucket: str) -> dict[str, str]:
        return {f"IAM5[Resource::{bucket}/{self._folder}/*]": "The names of the files are the model's own."}

    def grant_load(self, grantee: iam.IGrantable, *, vpc: ec2.IVpc, cache: str) -> None:
        """Allow reading the model's files and one cache, and writing this, from within the network only."""
        inside = {"StringEquals": {"aws:SourceVpc": vpc.vpc_id}}
        files = self.bucket.arn_for_objects(f"{self._folder}/*")
        cached = self.bucket.arn_for_objects(cache)
        for actions, resources in {
            ("s3:ListBucket",): [self.bucket.bucket_arn],
            ("s3:GetObject",): [files, cached],
            ("s3:PutObject",): [cached],
        }.items():
            grantee.grant_principal.add_to_principal_policy(
                iam.PolicyStatement(actions=list(actions), resources=resources, conditions=inside)
            )


def tag(image: str) -> str:
    """Return the tag that a copy of an image has, as in `vllm-openai-v0.32.0`."""
    name = image.rpartition("/")[2].replace("@sha256:", ":")
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:128]
