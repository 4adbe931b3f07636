"""The build that copies what the engine needs: `supply.py copy`, then `supply.py signal`.

The image goes into the account's registry, the model's files go one by one into its bucket, because a large
model is larger than a build's disk. What is there already is not copied again: an image is recognised by its
tag, a model by a marker beside its folder, written last. `signal` reports the result to CloudFormation, also
after a failure; after a success with the digest of the copy, by which the task runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

REASON_FILE, DIGEST_FILE = Path("reason.txt"), Path("digest.txt")
# The same weights in other formats, and files that no engine reads.
LEFT_OUT = (
    *("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.tflite"),
    *("original/*", "onnx/*", "*.md", "*.png", "*.jpg", ".git*"),
)
PULLS = 4
PAUSE_S = 60
# CloudFormation cuts longer reasons.
MAX_REASON = 1000

Run = Callable[[list[str], str], None]


class SupplyError(Exception):
    """Something cannot be copied; the text has what, and what to do next."""


def wanted(names: Iterable[str]) -> list[str]:
    """Return the files that vLLM reads, without a model's copies in other formats.

    Raises: SupplyError, where there are no weights that it can read from S3.
    """
    kept = [name for name in names if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)]
    if not any(name.endswith(".safetensors") for name in kept):
        raise SupplyError(
            "Expected .safetensors files, the only weights that vLLM reads from S3, but the model has none. "
            "Name a model that has, in infra/stages.py."
        )
    return kept


def copy_image(
    environment: Mapping[str, str], registry: Any, secrets: Any, run: Run, pause: Callable[[float], None]
) -> str:
    """Copy the image into the registry, unless its tag is there; return the digest of the copy.

    Raises: SupplyError.
    """
    repository, tag = environment["REPOSITORY"], environment["TAG"]

    def digest() -> str:
        found = registry.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        return str(found["imageDetails"][0]["imageDigest"])

    try:
        copied = digest()
    except registry.exceptions.ImageNotFoundException:
        pass
    else:
        print(f"image {tag}: there already, as {copied}", flush=True)
        return copied
    source, uri = environment["IMAGE"], environment["REPOSITORY_URI"]
    if secret := environment.get("REGISTRY_SECRET"):
        sign_in(source, secrets.get_secret_value(SecretId=secret)["SecretString"], run)
    _pull(source, run, pause)
    token = registry.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = b64decode(token).decode().partition(":")[2]
    run(["docker", "login", "--username", "AWS", "--password-stdin", uri.partition("/")[0]], password)
    run(["docker", "tag", source, f"{uri}:{tag}"], "")
    run(["docker", "push", "--quiet", f"{uri}:{tag}"], "")
    copied = digest()
    print(f"image {tag}: copied, as {copied}", flush=True)
    return copied


def sign_in(image: str, credentials: str, run: Run) -> None:
    """Sign in at the image's registry.

    Shape:  `credentials`: `{"username": "…", "accessToken": "…"}`, as ECR's pull through cache has them.
    Raises: SupplyError.
    """
    try:
        fields = json.loads(credentials)
        username, password = str(fields["username"]), str(fields["accessToken"])
    except (ValueError, KeyError, TypeError):  # whose texts would have the secret
        raise SupplyError(
            'Expected a secret like {"username": "…", "accessToken": "…"} in Engine.registry_secret, but its '
            "value has another shape."
        ) from None
    first = image.partition("/")[0]
    host = first if "/" in image and ("." in first or ":" in first) else "docker.io"
    run(["docker", "login", "--username", username, "--password-stdin", host], password)


def copy_model(environment: Mapping[str, str], bucket: Any, hub: Any) -> None:
    """Copy the model's files into the bucket, unless its marker is there.

    Raises: SupplyError.
    """
    folder, marker = environment["FOLDER"], environment["MARKER"]
    if any(bucket.objects.filter(Prefix=marker).limit(1)):
        print(f"model {folder}: there already", flush=True)
        return
    model, revision = environment["MODEL"], environment["REVISION"]
    try:
        # The commit that the revision names now, so that all files are of one.
        commit = str(hub.model_info(model, revision=revision).sha)
    except OSError as error:  # the base class of all the library's errors
        raise SupplyError(
            f"Expected the model {model} at {revision} at Hugging Face, but got: {_last_line(str(error))} "
            "Is its name right in infra/stages.py? A model behind a licence needs a token, which the build "
            "does not have."
        ) from None
    for name in wanted(hub.list_repo_files(model, revision=commit)):
        with tempfile.TemporaryDirectory() as directory:
            file = hub.hf_hub_download(model, name, revision=commit, local_dir=directory)
            bucket.upload_file(file, f"{folder}/{name}")
        print(f"model {folder}: {name}", flush=True)
    bucket.put_object(Key=marker, Body=commit.encode())


def outcome(reason: str, unique: str, digest: str) -> dict[str, str]:
    """Return the result for CloudFormation: success, with the image's digest, if no reason for a failure."""
    return {
        "Status": "FAILURE" if reason else "SUCCESS",
        "Reason": reason[-MAX_REASON:] or "The image and the model are there.",
        "UniqueId": unique,
        "Data": digest,
    }


def signal(url: str, message: Mapping[str, str]) -> None:
    """Signal CloudFormation; the URL is signed for a request without a content type."""
    request = urllib.request.Request(url, json.dumps(message).encode(), {"Content-Type": ""}, method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass


def _pull(source: str, run: Run, pause: Callable[[float], None]) -> None:
    """Pull, several times if need be: Docker Hub counts the pulls of all users of a build's IP address."""
    for left in reversed(range(PULLS)):
        try:
            run(["docker", "pull", "--quiet", "--platform", "linux/amd64", source], "")
            return
        except SupplyError as error:
            if not left:
                raise SupplyError(
                    f"{error} Is the image's name right? Docker Hub limits pulls from shared addresses: "
                    "deploy again in an hour, or set registry_secret beside it in infra/stages.py."
                ) from None
            pause(PAUSE_S)


def _run(command: list[str], given: str) -> None:
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        output = _last_line(done.stderr) or "no output"
        raise SupplyError(f"Expected `{' '.join(command[:2])}` to succeed, but got: {output}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def main(verb: str, environment: Mapping[str, str]) -> int:
    """Copy, or signal; a file passes the reason for a failure from one to the other."""
    if verb == "signal":
        reason = REASON_FILE.read_text() if REASON_FILE.exists() else "The build failed; its log says why."
        digest = DIGEST_FILE.read_text() if DIGEST_FILE.exists() else ""
        # "project:uuid" is longer than the 64 characters that CloudFormation takes.
        unique = environment["CODEBUILD_BUILD_ID"].rpartition(":")[2]
        if url := environment.get("SIGNAL_URL"):  # not set where the build was started by hand
            signal(url, outcome(reason, unique, digest))
        return 0
    import boto3
    import huggingface_hub  # type: ignore[import-not-found]

    try:
        bucket = boto3.resource("s3").Bucket(environment["BUCKET"])
        with ThreadPoolExecutor() as both:
            image = both.submit(
                copy_image,
                environment,
                boto3.client("ecr"),
                boto3.client("secretsmanager"),
                _run,
                time.sleep,
            )
            model = both.submit(copy_model, environment, bucket, huggingface_hub.HfApi())
            model.result()
            DIGEST_FILE.write_text(image.result())
    except (SupplyError, OSError) as error:
        print(error, file=sys.stderr)
        REASON_FILE.write_text(str(error) or type(error).__name__)
        return 1
    REASON_FILE.write_text("")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
