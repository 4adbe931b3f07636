"""Settings for AWS clients in tests, with dummy credentials."""

import os


def dummy_credentials(region: str) -> dict[str, str]:
    """Return environment variables with dummy credentials, which also hide the developer's own settings."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
