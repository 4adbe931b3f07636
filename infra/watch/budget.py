"""What a month may cost, of the whole account: a budget that writes to the topic before it is spent."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

_WARN_PERCENT = 80


def add_budget(scope: Construct, construct_id: str, *, usd: int, topic: sns.ITopic) -> None:
    """Make a monthly budget of all costs of the account.

    It is not limited to the stage's tag: costs have tags only after the tag was activated by hand, and until
    then a budget of one tag would see nothing.

    Source: AWS's SDK for Kotlin, `Notification` of Budgets, read 2026-11-27: at most ten for a budget.
    """
    subscriber = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)
    budget = budgets.CfnBudget(
        scope,
        construct_id,
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[subscriber],
            )
            for kind, percent in (("ACTUAL", _WARN_PERCENT), ("FORECASTED", 100))
        ],
    )
    # Budgets checks that it may write to the topic.
    budget.node.add_dependency(topic)
