"""cdk-nag: its AWS Solutions rules are applied at every synthesis, which an unacknowledged finding fails.

Where we deviate from a rule, the finding is acknowledged beside the construct, with the reason.
"""

from __future__ import annotations

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct


def check(app: App) -> None:
    """Apply the rules to all of an app."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Acknowledge findings on a construct and all below it.

    Shape:  `reasons`: a rule without its pack's name → why we deviate, as in `{"SMG4": "…"}`. A finding
            with an object is acknowledged by both, as in `{"IAM5[Resource::*]": "…"}`.
    """
    acknowledgments = (
        Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items()
    )
    Validations.of(construct).acknowledge(*acknowledgments)
