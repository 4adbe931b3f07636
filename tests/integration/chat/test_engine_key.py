"""An engine whose key is a secret, which is rotated while the function runs."""

import json
import os
from collections.abc import Iterator

import boto3
import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines.credentials import Credentials
from functions.chat.engines.http import HttpEngine
from functions.chat.settings import Settings
from functions.shared.aws import Aws
from functions.shared.role import Role
from functions.shared.secrets import Secrets
from functions.shared.signed import Signed
from tests.engines.scripted import scripted_engine
from tests.integration.chat.cold_engine import CREDENTIALS, REGION, Keyed, moto_server
from tests.integration.chat.service import MODEL, URL, body, served


@pytest.fixture
def aws_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
        yield url


def test_a_rotated_key_costs_one_request(aws_url: str) -> None:
    secretsmanager = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    arn = secretsmanager.create_secret(Name="engine", SecretString="old")["ARN"]
    with scripted_engine(behaviour=Keyed("old")) as engine:
        entry = {"base_url": engine.base_url, "key_secret": arn}
        settings = Settings.from_environment({"MODELS": json.dumps({MODEL: entry})})
        aws = Aws(Signed(os.environ, Role(os.environ)))
        app = create_served_app(settings, HttpEngine(settings, Credentials(Secrets(aws))))
        with served(app) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:

            def status() -> int:
                return client.post(URL, json=body()).status_code

            assert status() == 200
            secretsmanager.put_secret_value(SecretId=arn, SecretString="new")
            engine.behaviour = Keyed("new")
            assert [status(), status()] == [502, 200]
