"""Where alarms go: a mail address, by a topic that only CloudWatch may write to."""

from __future__ import annotations

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class AlarmTopic(Construct):
    """An encrypted topic with one reader, who has to confirm it by the first mail.

    CloudWatch cannot use the key that AWS keeps for SNS, so the topic has its own.

    Source: Amazon SNS, "Enable compatibility between event sources … and encrypted topics", read 2026-11-23.
    """

    def __init__(self, scope: Construct, construct_id: str, *, email: str) -> None:
        super().__init__(scope, construct_id)
        writer = iam.ServicePrincipal(
            "cloudwatch.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        )
        key = kms.Key(
            self,
            "Key",
            description="Alarms on their way",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.grant(writer, "kms:Decrypt", "kms:GenerateDataKey*")
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        # With a policy of its own, a topic no longer accepts messages from the account's services.
        self.topic.grant_publish(writer)
        self.topic.add_subscription(subscriptions.EmailSubscription(email))
