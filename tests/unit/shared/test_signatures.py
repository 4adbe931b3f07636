"""Our signatures, byte for byte beside botocore's own."""

import base64
import string
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore import auth, awsrequest, compat
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

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


# Services take paths as they are normalised: without empty parts and dots.
parts = st.text(st.sampled_from("abc019-_~%:ü +"), min_size=1, max_size=8)
names = st.text(st.sampled_from(string.ascii_lowercase + string.digits + "-"), min_size=1, max_size=12)
values = st.text(st.characters(codec="latin-1", exclude_categories=("Cc", "Z")), min_size=1, max_size=30)


@given(
    keys=st.builds(RoleKeys, values, st.text(min_size=1), st.none() | values),
    path=st.lists(parts, max_size=3).map("/".join),
    headers=st.dictionaries(names.map("x-amz-{}".format), values, max_size=4),
    body=st.binary(max_size=50),
    at=st.integers(0, 4_102_444_800),
)
def test_any_request_s_headers_are_signed_as_botocore_signs_them(
    keys: RoleKeys, path: str, headers: dict[str, str], body: bytes, at: int
) -> None:
    given_headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "T.Get", **headers}
    for own in ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256"):
        given_headers.pop(own, None)
    url = f"{URL}/{quote(path)}"
    signed = signed_headers(
        keys,
        method="POST",
        url=url,
        body=body,
        service="dynamodb",
        region="eu-central-1",
        at=at,
        headers=given_headers,
    )
    request: Any = awsrequest.AWSRequest(method="POST", url=url, data=body, headers=given_headers)
    request.headers["X-Amz-Date"] = request.context["timestamp"] = signed["x-amz-date"]
    if keys.session_token:
        request.headers["X-Amz-Security-Token"] = keys.session_token
    signer: Any = auth.SigV4Auth(botocores(keys), "dynamodb", "eu-central-1")
    value = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert signed["authorization"].endswith(f"Signature={value}")
    assert {name: signed[name] for name in given_headers} == given_headers


def test_aws_s_own_example() -> None:
    """`get-vanilla` of AWS's test suite of Signature Version 4."""
    keys = RoleKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
    url = "https://example.amazonaws.com/"
    signed = signed_headers(
        keys, method="GET", url=url, body=b"", service="service", region="us-east-1", at=at
    )
    assert signed == {
        "x-amz-date": "20150830T123600Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    }
