"""What requests bear: tokens that are made again in time, and signatures."""

import pytest
from botocore.credentials import Credentials as Boto

from functions.chat.engines.credentials import TOKEN_NEW_S, TOKEN_USED_S, Credentials
from functions.shared.aws import AwsError
from functions.shared.clock import Clock
from functions.shared.role import Role, RoleKeysUnavailable
from tests.engines.bedrock import ENVIRONMENT, KEYS, REGION, wrong_signature, wrong_token
from tests.unit.chat.fakes import model

pytestmark = pytest.mark.anyio
URL = f"https://abc.lambda-url.{REGION}.on.aws/v1"
BEDROCK = model(base_url=f"https://bedrock-runtime.{REGION}.amazonaws.com/openai/v1", credentials="bedrock")


class Bench:
    """Credentials of a role, and the time."""

    def __init__(self, **changes: str) -> None:
        self.at = 0.0
        self.environ = {**ENVIRONMENT, **changes}
        clock = Clock(lambda: self.at, lambda: self.at)
        self.credentials = Credentials(role=Role(self.environ), clock=clock)

    async def token(self, base_url: str = BEDROCK.base_url) -> str:
        of = model(base_url=base_url, credentials="bedrock")
        headers = await self.credentials.headers(of, "POST", f"{base_url}/chat/completions", b"{}")
        (authorization,) = headers.values()
        return authorization.removeprefix("Bearer ")


async def test_a_token_is_one_that_bedrock_takes() -> None:
    token = await Bench().token()
    assert wrong_token(token) is None
    assert wrong_token(token, "us-east-1") == "another request than CallWithBearerToken in this region"
    assert wrong_token(token, keys=Boto(KEYS.access_key, "other", KEYS.token)) == "a wrong signature"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-west-2.amazonaws.com", "us-west-2"),
        ("bedrock-mantle.us-gov-west-1.api.aws", "us-gov-west-1"),
        ("vpce-0a1.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
        ("127.0.0.1:8000", REGION),
    ],
)
async def test_a_token_is_for_the_region_of_the_address(host: str, region: str) -> None:
    assert wrong_token(await Bench().token(f"https://{host}/openai/v1"), region) is None


async def test_a_token_is_used_for_15_minutes_in_each_region() -> None:
    bench = Bench()
    first = await bench.token()
    other = await bench.token("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1")
    bench.at, bench.environ["AWS_SESSION_TOKEN"] = TOKEN_USED_S - 1, "later"
    assert await bench.token() == first != other
    bench.at = TOKEN_USED_S
    assert await bench.token() != first


async def test_a_rejected_token_is_made_again_unless_it_is_new() -> None:
    bench = Bench()
    sent = await bench.credentials.headers(BEDROCK, "POST", BEDROCK.base_url)
    assert bench.credentials.reject(BEDROCK, 403, sent) == "final"
    bench.at, bench.environ["AWS_SESSION_TOKEN"] = TOKEN_NEW_S, "later"
    assert bench.credentials.reject(BEDROCK, 403, sent) == "renewed"
    again = await bench.credentials.headers(BEDROCK, "POST", BEDROCK.base_url)
    assert again != sent
    assert bench.credentials.reject(BEDROCK, 403, again) == "final"


async def test_requests_that_bore_the_same_rejected_token_are_all_sent_again() -> None:
    bench = Bench()
    sent = await bench.credentials.headers(BEDROCK, "POST", BEDROCK.base_url)
    bench.at, bench.environ["AWS_SESSION_TOKEN"] = TOKEN_NEW_S, "later"
    assert bench.credentials.reject(BEDROCK, 403, sent) == "renewed"
    assert bench.credentials.reject(BEDROCK, 403, sent) == "renewed"
    await bench.token()
    assert bench.credentials.reject(BEDROCK, 403, sent) == "renewed"


@pytest.mark.parametrize("body", [b"{}", b""])
async def test_a_function_url_gets_a_signature_of_each_request(body: bytes) -> None:
    of = model(base_url=URL, credentials="function_url")
    signed = await Bench().credentials.headers(of, "POST", f"{URL}/chat/completions", body)
    headers = {**signed, "host": f"abc.lambda-url.{REGION}.on.aws"}
    assert wrong_signature("POST", "/v1/chat/completions", headers, body) is None
    assert wrong_signature("POST", "/v1/chat/completions", headers, body + b" ") == "a wrong signature"
    assert wrong_signature("POST", "/v1/other", headers, body) == "a wrong signature"


async def test_keys_that_are_no_variables_are_boto_s(monkeypatch: pytest.MonkeyPatch) -> None:
    role = Role({"AWS_DEFAULT_REGION": REGION})
    found = (str(KEYS.access_key), str(KEYS.secret_key), KEYS.token)
    monkeypatch.setattr(role._boto, "keys", lambda: found)
    keys = await role.keys()
    assert ((keys.id, keys.secret, keys.session_token), role.region) == (found, REGION)
    assert not any(hidden in repr(keys) for hidden in (str(KEYS.secret_key), str(KEYS.token)))

    def none() -> tuple[str, str, str | None]:
        raise AwsError("NoCredentialsError", {})

    def not_installed() -> tuple[str, str, str | None]:
        raise ImportError

    for missing in (none, not_installed):
        monkeypatch.setattr(role._boto, "keys", missing)
        with pytest.raises(RoleKeysUnavailable, match="NoCredentialsError"):
            await role.keys()
