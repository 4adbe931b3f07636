"""AWS clients in tests, and settings for them with dummy credentials."""

import os
from typing import Any, cast

from functions.shared.boto import BotoClient
from functions.shared.dynamodb import DynamoDb


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


def boto_of(table: DynamoDb) -> Any:
    """Return boto3's own client of a table that was given none of ours."""
    return cast(BotoClient, table._service.client).boto
