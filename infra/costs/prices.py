"""What AWS charges in us-east-1, on demand, before free tiers and taxes.

AWS's own pages fill their tables in by script, so stored copies of them lack the numbers: each price was
confirmed in copies of AWS's price list (public tools' test snapshots of 2026-08, and texts that quote it).
What could not be confirmed so says why in `doubt`. Check the page before you rely on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

REGION = "us-east-1"
READ = date(2026, 11, 23)
HOURS = 730  # of a month, as AWS reckons


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one unit costs.

    Units:  `usd` US dollars for one `unit`.
    """

    usd: float
    unit: str
    page: str
    doubt: str = ""


_VPC = "aws.amazon.com/vpc/pricing"
_LAMBDA = "aws.amazon.com/lambda/pricing"
_AURORA = "aws.amazon.com/rds/aurora/pricing"
_CLOUDWATCH = "aws.amazon.com/cloudwatch/pricing"
_DYNAMODB = "aws.amazon.com/dynamodb/pricing/on-demand"
_EC2 = "aws.amazon.com/ec2/pricing/on-demand"
_WAF = "aws.amazon.com/waf/pricing"
_X86_ONLY = "confirmed for x86_64 only"

PRICES = {
    "endpoint": Price(usd=0.01, unit="hour and zone", page="aws.amazon.com/privatelink/pricing"),
    "nat": Price(usd=0.045, unit="hour", page=_VPC),
    "address": Price(usd=0.005, unit="hour", page=_VPC),
    "balancer": Price(usd=0.0225, unit="hour", page="aws.amazon.com/elasticloadbalancing/pricing"),
    "zone": Price(usd=0.50, unit="hosted zone and month", page="aws.amazon.com/route53/pricing"),
    "g6.xlarge": Price(usd=0.8048, unit="hour", page=_EC2),
    "managed": Price(
        usd=0.12,
        unit="dollar of the instance's price",
        page="aws.amazon.com/ecs/pricing",
        doubt="AWS's example is a machine without a GPU: $0.037 for a c6a.2xlarge, 12 % of its price",
    ),
    "disk": Price(usd=0.08, unit="GB and month", page="aws.amazon.com/ebs/pricing"),
    "registry": Price(usd=0.10, unit="GB and month", page="aws.amazon.com/ecr/pricing"),
    "bucket": Price(usd=0.023, unit="GB and month", page="aws.amazon.com/s3/pricing"),
    "acu": Price(usd=0.12, unit="ACU and hour", page=_AURORA),
    "aurora_storage": Price(usd=0.10, unit="GB and month", page=_AURORA),
    "secret": Price(usd=0.40, unit="secret and month", page="aws.amazon.com/secrets-manager/pricing"),
    "key": Price(usd=1.00, unit="key and month", page="aws.amazon.com/kms/pricing"),
    "snapshot": Price(usd=0.0000015046, unit="GB and second", page=_LAMBDA, doubt=_X86_ONLY),
    "acl": Price(usd=5.00, unit="web ACL and month", page=_WAF),
    "rule": Price(usd=1.00, unit="rule and month", page=_WAF),
    "inspected": Price(usd=0.60 / 1e6, unit="request", page=_WAF),
    "alarm": Price(usd=0.10, unit="metric of an alarm and month", page=_CLOUDWATCH),
    "dashboard": Price(usd=3.00, unit="dashboard and month", page=_CLOUDWATCH),
    "container_metric": Price(usd=0.07, unit="metric and month, by the hour", page=_CLOUDWATCH),
    "metric": Price(usd=0.30, unit="metric and month, by the hour", page=_CLOUDWATCH),
    "logged": Price(usd=0.50, unit="GB", page=_CLOUDWATCH),
    "gateway": Price(usd=3.50 / 1e6, unit="request, 10 MB of it", page="aws.amazon.com/api-gateway/pricing"),
    "invocation": Price(usd=0.20 / 1e6, unit="request", page=_LAMBDA),
    "arm64": Price(usd=0.0000133334, unit="GB and second", page=_LAMBDA),
    "x86_64": Price(usd=0.0000166667, unit="GB and second", page=_LAMBDA),
    "trace": Price(usd=5.00 / 1e6, unit="trace", page="aws.amazon.com/xray/pricing"),
    "write": Price(usd=0.625 / 1e6, unit="write of 1 KB", page=_DYNAMODB),
    "read": Price(usd=0.125 / 1e6, unit="read of 4 KB", page=_DYNAMODB),
    "out": Price(usd=0.09, unit="GB to the internet", page=_EC2),
}


def usd(name: str, quantity: float) -> float:
    """Return what so much of something costs.

    Raises: LookupError, for a machine whose price is not here.
    """
    if name not in PRICES:
        raise LookupError(f"Expected a price of {name} in infra/costs/prices.py, but there is none: add it.")
    return PRICES[name].usd * quantity
