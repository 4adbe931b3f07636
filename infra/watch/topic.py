"""Where alarms and the budget go: a topic that only CloudWatch and Budgets may write to."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.nag import acknowledge

_WRITERS = ("cloudwatch.amazonaws.com", "budgets.amazonaws.com")
_REASONS = {
    "SNS2": "Names of alarms and sums of money pass here; a key for them would cost a dollar a month.",
}


class AlarmTopic(Construct):
    """A topic, and its reader if there is an address, who has to confirm it by the first mail.

    Source: AWS Cost Management, "Creating an Amazon SNS topic for budget notifications", read 2026-11-27.
    """

    def __init__(self, scope: Construct, construct_id: str, *, email: str | None) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", enforce_ssl=True)
        for service in _WRITERS:
            # With a policy of its own, a topic no longer accepts messages from the account's services.
            self.topic.grant_publish(
                iam.ServicePrincipal(
                    service, conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
                )
            )
        if email:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        acknowledge(self.topic, _REASONS)
