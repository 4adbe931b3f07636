"""Where the engine's compile cache is: in the bucket of its weights, under a key of this engine alone.

The engine could write code there that a later one runs. So its role may write this one object, and no other
engine reads it. The image is named by its tag, which is of one image for good in the account's registry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from infra.inference.sources import source
from infra.stages import Engine

# Beside each other on one volume: unpacking ends with a rename.
FOLDER = "/scratch/vllm"
VARIABLES = {"VLLM_CACHE_ROOT": FOLDER}


def cache_key(engine: Engine, arguments: Sequence[str]) -> str:
    """Return the key: another one for another model, image, command line or machine."""
    text = "\n".join((engine.image, engine.instance_type, *arguments))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"cache/{engine.model.id}/{engine.model.revision}/{digest}.tar.gz"


def restoring(bucket: str, key: str) -> list[str]:
    """Return what stands before the engine's command."""
    return ["python3", "-c", source("cache"), "restore", bucket, key, FOLDER]


def storing(bucket: str, key: str, url: str) -> list[str]:
    """Return the arguments of `python3` that store the cache once the engine responds."""
    return ["-c", source("cache"), "store", bucket, key, FOLDER, url]
