"""AWS as tests may ask it: with nobody's credentials."""

import os


def nobody(region: str) -> dict[str, str]:
    """Return variables with nobody's credentials, and none of the settings of whoever runs the tests."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
