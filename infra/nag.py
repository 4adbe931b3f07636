"""cdk-nag: its AWS Solutions rules are applied at every synthesis, and a finding nobody answered fails it.

What a rule asks for and we do otherwise is acknowledged beside the construct, with the reason.
"""

from __future__ import annotations

from aws_cdk import Acknowledgment, App, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct


def check(app: App) -> None:
    """Apply the rules to all of an app."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Answer findings on a construct and all below it.

    Shape:  `reasons`: a rule without its pack's name → why we do otherwise, as in `{"SMG4": "…"}`. A finding
            that carries its object has an answer of its own, as in `{"IAM5[Resource::*]": "…"}`.
    """
    answers = (Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items())
    Validations.of(construct).acknowledge(*answers)
