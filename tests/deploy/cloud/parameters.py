"""AWS's public parameter with the machine image of ECS for GPUs, which ministack lacks.

Source: ECS developer guide, "Retrieving Amazon ECS-optimized Linux AMI metadata", read 2026-11-27.
"""

from ministack.services import ssm

NAME = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"


def needed() -> bool:
    """Return whether ministack still lacks it."""
    return NAME not in ssm._PUBLIC_AMI_PARAMETERS


def install() -> None:
    """Add it."""
    ssm._PUBLIC_AMI_PARAMETERS[NAME] = "ami-0123456789abcdef0"
