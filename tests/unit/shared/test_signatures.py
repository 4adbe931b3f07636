"""Our signatures, byte for byte beside botocore's own."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import auth, awsrequest, compat
from botocore.credentials import Credentials

from functions.shared.signatures import RoleKeys, bedrock_token, signed_headers

KEYS = {
    "session": RoleKeys("ASIAEXAMPLE", "s3cr3t/+=", "IQoJb3JpZ2lu//+=" * 40),
    "odd characters": RoleKeys("ASIA/+=", "ü+/ =&?", "a b&c=d/e+f%20~*é"),
    "a user": RoleKeys("AKIAEXAMPLE", "secret"),
}
TIMES = {"2026": 1_795_000_000.9, "a leap day": 1_835_395_199.0, "midnight": 1_798_761_600.0}
URL = "https://abc123.lambda-url.eu-central-1.on.aws"


@pytest.fixture(params=TIMES.values(), ids=list(TIMES))
def at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Set botocore's clock."""
    moment = datetime.fromtimestamp(request.param, UTC)

    def now(*, remove_tzinfo: bool = True) -> datetime:
        return moment.replace(tzinfo=None) if remove_tzinfo else moment

    for module in (auth, compat):
        if hasattr(module, "get_current_datetime"):
            monkeypatch.setattr(module, "get_current_datetime", now)
    return float(request.param)


def botocores(keys: RoleKeys) -> Credentials:
    return Credentials(keys.id, keys.secret, keys.session_token)


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1"])
@pytest.mark.parametrize("keys", KEYS.values(), ids=list(KEYS))
def test_a_token_is_the_one_of_aws_s_generator(keys: RoleKeys, region: str, at: float) -> None:
    request = awsrequest.AWSRequest(
        method="POST",
        url="https://bedrock.amazonaws.com/",
        headers={"host": "bedrock.amazonaws.com"},
        params={"Action": "CallWithBearerToken"},
    )
    auth.SigV4QueryAuth(botocores(keys), "bedrock", region, expires=1800).add_auth(request)
    presigned = f"{request.url.removeprefix('https://')}&Version=1".encode()
    expected = f"bedrock-api-key-{base64.b64encode(presigned).decode()}"
    assert bedrock_token(keys, region=region, at=at, expires_s=1800) == expected


@pytest.mark.parametrize("body", [b"", '{"text": "ü"}'.encode()])
@pytest.mark.parametrize("path", ["", "/v1/chat/completions", "/v1/a%20b/ü~c"])
@pytest.mark.parametrize("keys", KEYS.values(), ids=list(KEYS))
def test_signed_headers_are_botocore_s(keys: RoleKeys, path: str, body: bytes, at: float) -> None:
    request: Any = awsrequest.AWSRequest(method="POST", url=URL + path, data=body)
    auth.SigV4Auth(botocores(keys), "lambda", "eu-central-1").add_auth(request)
    expected = {name.lower(): value for name, value in request.headers.items()}
    assert (
        signed_headers(
            keys, method="POST", url=URL + path, body=body, service="lambda", region="eu-central-1", at=at
        )
        == expected
    )
