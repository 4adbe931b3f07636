"""Secrets: fetched once, known for 5 minutes, and for longer while AWS is unavailable."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from functions.shared.aws import READ_TIMEOUT_S, Aws, AwsError, Service
from functions.shared.boto import Boto
from functions.shared.clock import Clock
from functions.shared.secrets import KNOWN_S, PAUSE_S, Secrets, SecretsUnavailable

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:engine-AbCdEf"
OTHER = ARN.replace("engine", "other")


class FakeService(Service):
    """Returns its text, waits while it is held, and fails where a test sets that."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(aws, "secretsmanager", None, READ_TIMEOUT_S)
        self.response: dict[str, Any] = {"SecretString": "canary-1"}
        self.failure: str | None = None
        self.fetched: list[str] = []
        self.free = threading.Event()
        self.free.set()

    def call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        assert (operation, idempotent) == ("get_secret_value", True)
        self.fetched.append(parameters["SecretId"])
        assert self.free.wait(5)
        if self.failure:
            raise AwsError(self.failure, {})
        return self.response


class FakeAws(Aws):
    def __init__(self) -> None:
        super().__init__(Boto())
        self.secretsmanager = FakeService(self)

    def service(
        self, name: str, *, endpoint_url: str | None = None, read_timeout_s: float | None = None
    ) -> Service:
        assert (name, endpoint_url, read_timeout_s) == ("secretsmanager", None, None)
        return self.secretsmanager


class Bench:
    """Secrets, what stands in for AWS, and the time."""

    def __init__(self) -> None:
        self.at = 0.0
        aws = FakeAws()
        self.aws = aws.secretsmanager
        self.secrets = Secrets(aws, clock=Clock(self._read, self._read))

    def _read(self) -> float:
        return self.at

    def value(self, arn: str = ARN) -> str:
        return asyncio.run(self.secrets.value(arn))


def unavailable(fetch: Callable[[], object]) -> str:
    with pytest.raises(SecretsUnavailable) as raised:
        fetch()
    assert raised.value.__cause__ is None
    return str(raised.value)


def test_a_secret_is_fetched_once() -> None:
    bench = Bench()
    assert [bench.value() for _ in range(3)] == ["canary-1"] * 3
    assert bench.aws.fetched == [ARN]


def test_each_arn_has_its_own() -> None:
    bench = Bench()
    bench.value()
    bench.aws.response = {"SecretString": "canary-2"}
    assert (bench.value(OTHER), bench.value()) == ("canary-2", "canary-1")


def test_a_changed_secret_is_in_use_after_5_minutes() -> None:
    bench = Bench()
    bench.value()
    bench.aws.response = {"SecretString": "canary-2"}
    bench.at = KNOWN_S - 1
    assert bench.value() == "canary-1"
    bench.at = KNOWN_S
    assert bench.value() == "canary-2"


def test_concurrent_callers_share_one_fetch() -> None:
    async def scenario() -> list[str]:
        bench.aws.free.clear()
        callers = [asyncio.create_task(bench.secrets.value(ARN)) for _ in range(10)]
        await asyncio.sleep(0)
        bench.aws.free.set()
        return await asyncio.gather(*callers)

    bench = Bench()
    assert asyncio.run(scenario()) == ["canary-1"] * 10
    assert bench.aws.fetched == [ARN]


def test_a_cancelled_caller_does_not_stop_the_fetch() -> None:
    async def scenario() -> str:
        bench.aws.free.clear()
        leaving, staying = (asyncio.create_task(bench.secrets.value(ARN)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait({leaving})
        assert leaving.cancelled()
        bench.aws.free.set()
        return await staying

    bench = Bench()
    assert asyncio.run(scenario()) == "canary-1"
    assert bench.aws.fetched == [ARN]


def test_the_loop_runs_during_a_fetch() -> None:
    async def turns(value: Awaitable[str]) -> int:
        task = asyncio.ensure_future(value)
        count = 0
        while not task.done():
            await asyncio.sleep(0)
            count += 1
            if count == 50:
                bench.aws.free.set()
        assert await task == "canary-1"
        return count

    bench = Bench()
    bench.aws.free.clear()
    assert asyncio.run(turns(bench.secrets.value(ARN))) >= 50


def test_what_was_begun_early_is_waited_for() -> None:
    async def scenario() -> str:
        bench.aws.free.clear()
        bench.secrets.warm(ARN, OTHER)
        value = asyncio.create_task(bench.secrets.value(ARN))
        await asyncio.sleep(0)
        bench.aws.free.set()
        return await value

    bench = Bench()
    assert asyncio.run(scenario()) == "canary-1"
    assert sorted(bench.aws.fetched) == [ARN, OTHER]


def test_what_failed_early_is_fetched_again() -> None:
    bench = Bench()
    bench.aws.failure = "EndpointConnectionError"
    bench.secrets.warm(ARN)
    while bench.secrets._fetches:
        pass
    bench.aws.failure = None
    assert bench.value() == "canary-1"


def test_a_secret_that_was_never_known_is_not_made_up() -> None:
    bench = Bench()
    bench.aws.failure = "AccessDeniedException"
    assert unavailable(bench.value) == "AccessDeniedException"
    bench.aws.failure = None
    assert bench.value() == "canary-1", "a failure is not remembered"


def test_a_known_one_is_used_while_aws_is_unavailable() -> None:
    bench = Bench()
    bench.value()
    bench.aws.failure = "ReadTimeoutError"
    bench.at = KNOWN_S
    assert [bench.value() for _ in range(3)] == ["canary-1"] * 3
    assert len(bench.aws.fetched) == 2, "it does not wait for AWS each time"
    bench.at += PAUSE_S
    assert bench.value() == "canary-1"
    assert len(bench.aws.fetched) == 3
    bench.aws.failure, bench.aws.response = None, {"SecretString": "canary-2"}
    bench.at += PAUSE_S
    assert bench.value() == "canary-2"


def test_a_binary_secret_is_an_error() -> None:
    bench = Bench()
    bench.aws.response = {"SecretBinary": b"canary"}
    assert unavailable(bench.value) == "NoSecretString"


def test_nothing_shows_what_a_secret_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        bench = Bench()
        bench.value()
        bench.aws.failure = "ThrottlingException"
        bench.at = KNOWN_S
        bench.value()
    assert "canary" not in caplog.text + repr(vars(bench.secrets))
    assert [record.getMessage() for record in caplog.records if record.name == "secrets"] == [
        "AWS: ThrottlingException"
    ]


def test_a_rejected_secret_is_fetched_again_and_stays_where_that_fails() -> None:
    bench = Bench()
    bench.secrets.expire(ARN)
    assert bench.value() == "canary-1"
    bench.aws.failure = "EndpointConnectionError"
    bench.secrets.expire(ARN)
    assert bench.value() == "canary-1"
    bench.aws.failure, bench.aws.response = None, {"SecretString": "canary-2"}
    bench.secrets.expire(ARN)
    assert [bench.value() for _ in range(2)] == ["canary-2"] * 2
    assert bench.aws.fetched == [ARN] * 3
