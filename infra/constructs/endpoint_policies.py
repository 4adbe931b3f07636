"""What may be requested through the network's endpoints: only what the functions and the machines do.

Such a policy grants nothing by itself. It keeps an intruder in a container from carrying data out through
AWS's own services, with credentials and to a bucket of another account.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aws_cdk import Aws
from aws_cdk import aws_iam as iam

# In the bucket of the weights: what vLLM compiled, which the engine keeps there.
CACHE_FOLDER = "cache"
_OURS = {"aws:PrincipalAccount": Aws.ACCOUNT_ID}
# The prefix of a service's actions → those that are used, and the kind of resource that they are for.
_ACTIONS: dict[str, tuple[Sequence[str], str]] = {
    "dynamodb": (("GetItem", "PutItem", "Query", "UpdateItem"), "table/*"),
}


def endpoint_policy(service: str) -> Iterator[iam.PolicyStatement]:
    """Yield the statements of the policy of a service's endpoint.

    Shape:  `service`: "s3", or the prefix of the service's actions, as in "dynamodb".
    Source: Amazon ECR, "Minimum Amazon S3 bucket permissions for Amazon ECR", for where the layers of images
            are; Amazon VPC, "Control access to VPC endpoints using endpoint policies"; read 2026-11-26.
    """
    if service == "s3":
        # Buckets have no account in their names.
        own = _OURS | {"aws:ResourceAccount": Aws.ACCOUNT_ID}
        yield _allow("s3", ("GetObject", "ListBucket"), "*", own)
        yield _allow("s3", ("PutObject",), f"arn:{Aws.PARTITION}:s3:::*/{CACHE_FOLDER}/*", own)
        layers = f"arn:{Aws.PARTITION}:s3:::prod-{Aws.REGION}-starport-layer-bucket/*"
        # Amazon Linux's packages, of which a machine of a warm pool installs one.
        packages = f"arn:{Aws.PARTITION}:s3:::al2023-repos-{Aws.REGION}-de612dc2/*"
        yield _allow("s3", ("GetObject",), layers, {})
        yield _allow("s3", ("GetObject",), packages, {})
    if service in _ACTIONS:
        actions, kind = _ACTIONS[service]
        account = f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        yield _allow(service, actions, f"{account}:{kind}", _OURS)


def _allow(service: str, actions: Sequence[str], resource: str, equal: dict[str, str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[iam.AnyPrincipal()],
        actions=[f"{service}:{action}" for action in actions],
        resources=[resource],
        conditions={"StringEquals": equal} if equal else None,
    )
