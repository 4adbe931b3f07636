"""The build's program: real requests to moto's S3 and ECR, and fakes for Docker and Hugging Face."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.inference.programs.supply import SupplyError, copy_image, copy_model, outcome, sign_in, wanted

ENVIRONMENT = {
    "IMAGE": "vllm/vllm-openai:v0.32.0",
    "REPOSITORY": "engines",
    "REPOSITORY_URI": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/engines",
    "TAG": "vllm-openai-v0.32.0",
    "MODEL": "Qwen/Qwen3-8B",
    "REVISION": "main",
    "FOLDER": "models/Qwen/Qwen3-8B/main",
    "MARKER": "complete/models/Qwen/Qwen3-8B/main",
}
FILES = ("config.json", "tokenizer.json", "a.safetensors", "b.safetensors", "README.md", "pytorch_model.bin")


@dataclass
class Docker:
    """Records the commands that it is given; the first `refusals` pulls fail, a push reaches the registry."""

    registry: Any
    refusals: int = 0
    done: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def run(self, command: list[str], given: str) -> None:
        self.done.append(" ".join(command[:2]))
        self.given.append(given)
        if command[1] == "pull" and self.refusals:
            self.refusals -= 1
            raise SupplyError("Expected `docker pull` to succeed, but got: toomanyrequests.")
        if command[1] == "push":
            push(self.registry)


@dataclass
class Hub:
    """A model at one commit; with a refusal there is none."""

    refusal: OSError | None = None
    fetched: list[tuple[str, str]] = field(default_factory=list)

    def model_info(self, model: str, *, revision: str) -> Any:
        assert (model, revision) == ("Qwen/Qwen3-8B", "main")
        if self.refusal:
            raise self.refusal
        return SimpleNamespace(sha="c0ffee")

    def list_repo_files(self, model: str, *, revision: str) -> list[str]:
        assert (model, revision) == ("Qwen/Qwen3-8B", "c0ffee")
        return list(FILES)

    def hf_hub_download(self, model: str, name: str, *, revision: str, local_dir: str) -> str:
        assert model == "Qwen/Qwen3-8B"
        self.fetched.append((name, revision))
        file = Path(local_dir) / name
        file.write_text(f"content of {name}")
        return str(file)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield


@pytest.fixture
def registry() -> Any:
    client = boto3.client("ecr")
    client.create_repository(repositoryName="engines")
    return client


@pytest.fixture
def bucket() -> Any:
    made = boto3.resource("s3").Bucket("weights")
    made.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return made


def push(registry: Any) -> None:
    registry.put_image(
        repositoryName="engines",
        imageManifest='{"schemaVersion": 2}',
        imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
        imageTag=ENVIRONMENT["TAG"],
    )


def test_an_image_is_pulled_and_pushed(registry: Any) -> None:
    docker = Docker(registry)
    digest = copy_image(ENVIRONMENT, registry, None, docker.run, docker.pauses.append)
    (stored,) = registry.describe_images(repositoryName="engines")["imageDetails"]
    assert digest == stored["imageDigest"]
    assert docker.done == ["docker pull", "docker login", "docker tag", "docker push"]
    assert docker.given[1], "a password"
    assert not any(given for number, given in enumerate(docker.given) if number != 1)


def test_an_image_that_is_there_is_not_copied_again(registry: Any) -> None:
    push(registry)
    docker = Docker(registry)
    digest = copy_image(ENVIRONMENT, registry, None, docker.run, docker.pauses.append)
    assert docker.done == []
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


def test_a_pull_that_is_refused_is_tried_again(registry: Any) -> None:
    docker = Docker(registry, refusals=3)
    copy_image(ENVIRONMENT, registry, None, docker.run, docker.pauses.append)
    assert docker.done.count("docker pull") == 4
    assert docker.pauses == [60] * 3


def test_a_pull_that_is_refused_for_good_says_what_to_do(registry: Any) -> None:
    docker = Docker(registry, refusals=9)
    with pytest.raises(SupplyError, match=r"toomanyrequests.*Docker Hub limits pulls.*infra/stages\.py"):
        copy_image(ENVIRONMENT, registry, None, docker.run, docker.pauses.append)
    assert docker.done == ["docker pull"] * 4


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("vllm/vllm-openai:v0.32.0", "docker.io"),
        ("vllm:1", "docker.io"),
        ("registry.example.com/engines/vllm@sha256:0f", "registry.example.com"),
        ("localhost:5000/vllm", "localhost:5000"),
    ],
)
def test_with_a_secret_the_build_signs_in_where_the_image_is(registry: Any, image: str, host: str) -> None:
    secrets = boto3.client("secretsmanager")
    value = '{"username": "someone", "accessToken": "dckr_pat_0"}'
    secret = secrets.create_secret(Name="registry", SecretString=value)["ARN"]
    commands: list[list[str]] = []
    docker = Docker(registry)

    def run(command: list[str], given: str) -> None:
        commands.append(command)
        docker.run(command, given)

    environment = ENVIRONMENT | {"IMAGE": image, "REGISTRY_SECRET": secret}
    copy_image(environment, registry, secrets, run, docker.pauses.append)
    assert commands[0] == ["docker", "login", "--username", "someone", "--password-stdin", host]
    assert docker.given[0] == "dckr_pat_0"
    assert "dckr_pat_0" not in str(commands), "commands are in the log"


@pytest.mark.parametrize("value", ["dckr_pat_0", '{"username": "dckr_pat_0"}', '["dckr_pat_0"]'])
def test_a_secret_of_another_shape_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(SupplyError, match="registry_secret") as caught:
        sign_in("vllm/vllm-openai:v0.32.0", value, lambda *_: None)
    assert "dckr_pat_0" not in str(caught.value)


def keys(bucket: Any) -> set[str]:
    return {each.key for each in bucket.objects.all()}


def test_a_model_is_copied_with_its_marker_last(bucket: Any) -> None:
    hub = Hub()
    copy_model(ENVIRONMENT, bucket, hub)
    folder = ENVIRONMENT["FOLDER"]
    files = ["config.json", "tokenizer.json", "a.safetensors", "b.safetensors"]
    assert keys(bucket) == {*(f"{folder}/{name}" for name in files), ENVIRONMENT["MARKER"]}
    assert hub.fetched == [(name, "c0ffee") for name in files], "all of one commit"
    body = bucket.Object(f"{folder}/config.json").get()["Body"].read()
    assert body == b"content of config.json"
    assert bucket.Object(ENVIRONMENT["MARKER"]).get()["Body"].read() == b"c0ffee"


def test_a_model_that_is_there_is_not_copied_again(bucket: Any) -> None:
    copy_model(ENVIRONMENT, bucket, Hub())
    again = Hub()
    copy_model(ENVIRONMENT, bucket, again)
    assert again.fetched == []


def test_an_incomplete_copy_is_made_again(bucket: Any) -> None:
    copy_model(ENVIRONMENT, bucket, Hub())
    bucket.Object(ENVIRONMENT["MARKER"]).delete()
    again = Hub()
    copy_model(ENVIRONMENT, bucket, again)
    assert len(again.fetched) == 4


def test_a_model_that_cannot_be_had_says_what_to_do(bucket: Any) -> None:
    hub = Hub(refusal=OSError("401 Client Error.\nAccess to model is restricted."))
    with pytest.raises(SupplyError, match=r"Qwen/Qwen3-8B at main.*restricted.*needs a token"):
        copy_model(ENVIRONMENT, bucket, hub)
    assert keys(bucket) == set()


def test_only_what_vllm_reads_is_fetched() -> None:
    names = ["model.safetensors", "consolidated.pth", "original/params.json", "vocab.json", "x.gguf", "a.png"]
    assert wanted(names) == ["model.safetensors", "vocab.json"]


def test_a_model_without_such_weights_is_refused() -> None:
    with pytest.raises(SupplyError, match=r"Expected \.safetensors files"):
        wanted(["config.json", "pytorch_model.bin"])


def test_a_long_reason_keeps_its_end() -> None:
    assert outcome("x" * 5000 + "the end", "1", "")["Reason"].endswith("the end")
    assert len(outcome("x" * 5000, "1", "")["Reason"]) == 1000


def test_a_success_reports_the_digest() -> None:
    digest = "sha256:" + "0f" * 32
    assert outcome("", "1", digest) | {"Reason": ""} == {
        "Status": "SUCCESS",
        "Reason": "",
        "UniqueId": "1",
        "Data": digest,
    }
