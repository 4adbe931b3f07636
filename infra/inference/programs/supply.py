"""The build that fetches what the engine needs: `supply.py copy`, then `supply.py signal`.

Into the account's registry the image, into its bucket the model's files, each alone, for a large model is
larger than a build's disk. What is there already is not fetched again: an image by its tag, a model by a
marker beside its folder, written last. `signal` tells CloudFormation how it ended, whatever happened before.
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

REASON_FILE = Path("reason.txt")
# The same weights in other formats, and what no engine reads.
LEFT_OUT = (
    *("*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.tflite"),
    *("original/*", "onnx/*", "*.md", "*.png", "*.jpg", ".git*"),
)
PULLS = 4
PAUSE_S = 60
# CloudFormation cuts longer reasons.
MOST_REASON = 1000

Run = Callable[[list[str], str], None]


class SupplyError(Exception):
    """Something cannot be fetched; the text says what, and what to do next."""


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
    environment: Mapping[str, str], registry: Any, run: Run, pause: Callable[[float], None]
) -> None:
    """Copy the image into the registry, unless its tag is there.

    Raises: SupplyError.
    """
    repository, tag = environment["REPOSITORY"], environment["TAG"]
    if _has_image(registry, repository, tag):
        print(f"image {tag}: there already", flush=True)
        return
    source, uri = environment["IMAGE"], environment["REPOSITORY_URI"]
    _pull(source, run, pause)
    password = registry.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    run(
        ["docker", "login", "--username", "AWS", "--password-stdin", uri.partition("/")[0]],
        _password(password),
    )
    run(["docker", "tag", source, f"{uri}:{tag}"], "")
    run(["docker", "push", "--quiet", f"{uri}:{tag}"], "")
    print(f"image {tag}: copied", flush=True)


def copy_model(environment: Mapping[str, str], bucket: Any, hub: Any) -> None:
    """Copy the model's files into the bucket, unless its marker is there.

    Raises: SupplyError.
    """
    folder, marker = environment["FOLDER"], environment["MARKER"]
    if any(bucket.objects.filter(Prefix=marker).limit(1)):
        print(f"model {folder}: there already", flush=True)
        return
    commit = _commit(environment, hub)
    for name in wanted(hub.list_repo_files(environment["MODEL"], revision=commit)):
        with tempfile.TemporaryDirectory() as directory:
            file = hub.hf_hub_download(environment["MODEL"], name, revision=commit, local_dir=directory)
            bucket.upload_file(file, f"{folder}/{name}")
        print(f"model {folder}: {name}", flush=True)
    bucket.put_object(Key=marker, Body=commit.encode())


def outcome(reason: str, unique: str) -> dict[str, str]:
    """Return what CloudFormation is told: success where there is no reason for failure."""
    return {
        "Status": "FAILURE" if reason else "SUCCESS",
        "Reason": reason[-MOST_REASON:] or "The image and the model are there.",
        "UniqueId": unique,
        "Data": "",
    }


def signal(url: str, message: Mapping[str, str]) -> None:
    """Tell CloudFormation; the address is signed for a request without a content type."""
    request = urllib.request.Request(url, json.dumps(message).encode(), {"Content-Type": ""}, method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass


def _has_image(registry: Any, repository: str, tag: str) -> bool:
    try:
        registry.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except registry.exceptions.ImageNotFoundException:
        return False
    return True


def _pull(source: str, run: Run, pause: Callable[[float], None]) -> None:
    """Pull, and again: Docker Hub counts the pulls of all who share a build's address."""
    for left in reversed(range(PULLS)):
        try:
            run(["docker", "pull", "--quiet", "--platform", "linux/amd64", source], "")
            return
        except SupplyError as error:
            if not left:
                raise SupplyError(
                    f"{error} Is the image's name right? Docker Hub limits pulls from shared addresses: "
                    "deploy again in an hour, or name a copy in your own registry in infra/stages.py."
                ) from None
            pause(PAUSE_S)


def _password(token: str) -> str:
    return b64decode(token).decode().partition(":")[2]


def _commit(environment: Mapping[str, str], hub: Any) -> str:
    """Return the commit that the revision names now, so that all files are of one.

    Raises: SupplyError.
    """
    model, revision = environment["MODEL"], environment["REVISION"]
    try:
        return str(hub.model_info(model, revision=revision).sha)
    except OSError as error:  # all of the library's refusals are
        raise SupplyError(
            f"Expected the model {model} at {revision} at Hugging Face, but got: {_last_line(str(error))} "
            "Is its name right in infra/stages.py? A model behind a licence needs a token, which the supply "
            "does not have."
        ) from None


def _run(command: list[str], given: str) -> None:
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        said = _last_line(done.stderr) or "nothing"
        raise SupplyError(f"Expected `{' '.join(command[:2])}` to succeed, but it said: {said}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _copy(environment: Mapping[str, str]) -> None:
    import boto3
    import huggingface_hub  # type: ignore[import-not-found]

    bucket = boto3.resource("s3").Bucket(environment["BUCKET"])
    with ThreadPoolExecutor() as both:
        image = both.submit(copy_image, environment, boto3.client("ecr"), _run, time.sleep)
        model = both.submit(copy_model, environment, bucket, huggingface_hub.HfApi())
        model.result()
        image.result()


def main(verb: str, environment: Mapping[str, str]) -> int:
    """Copy, or signal; the reason for a failure goes from one to the other in a file."""
    if verb == "signal":
        reason = REASON_FILE.read_text() if REASON_FILE.exists() else "The build failed; its log says why."
        # "project:uuid" is longer than the 64 characters that CloudFormation takes.
        unique = environment["CODEBUILD_BUILD_ID"].rpartition(":")[2]
        if url := environment.get("SIGNAL_URL"):  # absent where somebody started the build by hand
            signal(url, outcome(reason, unique))
        return 0
    try:
        _copy(environment)
    except (SupplyError, OSError) as error:
        print(error, file=sys.stderr)
        REASON_FILE.write_text(str(error) or type(error).__name__)
        return 1
    REASON_FILE.write_text("")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
