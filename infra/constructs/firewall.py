"""A web application firewall before the REST API."""

from __future__ import annotations

from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.stages import Stage

_WINDOW_S = 300
# AWS's rule groups → the rules that only count. Chats may hold any text, markup and exploits included; and
# callers are programs, some of which send no user agent, or long GraphQL queries by GET.
RULES: dict[str, tuple[str, ...]] = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    ),
    "AWSManagedRulesCommonRuleSet": (
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "NoUserAgent_HEADER",
        "SizeRestrictions_BODY",
        "SizeRestrictions_QUERYSTRING",
    ),
}


class Firewall(Construct):
    """Blocks addresses of ill repute, known attacks, and an address that uses half of the API's rate.

    Source: AWS WAF, "Baseline rule groups", read 2026-11-23.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, api: apigateway.RestApi) -> None:
        super().__init__(scope, construct_id)
        per_window = stage.rate * _WINDOW_S // 2
        one_address = wafv2.CfnWebACL.RuleProperty(
            name="OneAddress",
            priority=0,
            action=wafv2.CfnWebACL.RuleActionProperty(block={}),
            visibility_config=_metric("OneAddress"),
            statement=wafv2.CfnWebACL.StatementProperty(
                rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                    aggregate_key_type="IP",
                    limit=per_window,
                    evaluation_window_sec=_WINDOW_S,
                )
            ),
        )
        acl = wafv2.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_metric(f"Chatbot-{stage.name}"),
            rules=[one_address, *managed_rules()],
        )
        wafv2.CfnWebACLAssociation(
            self, "Association", resource_arn=api.deployment_stage.stage_arn, web_acl_arn=acl.attr_arn
        )


def managed_rules() -> list[wafv2.CfnWebACL.RuleProperty]:
    """Return AWS's rule groups, in the order of `RULES`."""
    count = wafv2.CfnWebACL.RuleActionProperty(count={})
    return [
        wafv2.CfnWebACL.RuleProperty(
            name=name,
            priority=priority,
            override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
            visibility_config=_metric(name),
            statement=wafv2.CfnWebACL.StatementProperty(
                managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                    vendor_name="AWS",
                    name=name,
                    rule_action_overrides=[
                        wafv2.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=count)
                        for rule in counted
                    ],
                )
            ),
        )
        for priority, (name, counted) in enumerate(RULES.items(), 1)
    ]


def _metric(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    """Count requests; keep no samples of them, which would show what people write."""
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
