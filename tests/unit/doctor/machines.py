"""A machine that has what it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.bundling.errors import BundleError

HUB, WEIGHTS = "https://registry-1.docker.io/", "https://huggingface.co/Qwen/Qwen3-8B/resolve/b968826d"


@dataclass
class GivenMachine:
    """A machine, and what it reaches: by default all that a deployment needs.

    Shape:  `statuses`: what an address answers, by how it begins; others are not reached. `regions`: None:
            the packages with the certificates are not installed. `without_ipv6`: names without an address
            there; None: its resolver has none of any.
    """

    python_path: str | None = "/usr/bin/python3.13"
    node_version: str | None = "24.11.0"
    regions: frozenset[str] | None = frozenset({"us-east-1", "eu-central-1"})
    without_ipv6: frozenset[str] | None = frozenset({"bedrock-runtime.us-east-1.api.aws"})
    statuses: Mapping[str, int] = field(default_factory=lambda: {HUB: 200, WEIGHTS: 200})

    def python(self, version: str) -> str | None:
        assert version == "3.13"
        return self.python_path

    def node(self) -> str | None:
        return self.node_version

    def certificate_regions(self) -> frozenset[str]:
        if self.regions is None:
            raise BundleError("Expected the packages of layers/prisma, but they are not installed.")
        return self.regions

    def has_ipv6(self, host: str) -> bool | None:
        return None if self.without_ipv6 is None else host not in self.without_ipv6

    def request(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Answer; a registry's manifests are only for a token, as those of Docker Hub are."""
        assert method in ("GET", "HEAD")
        if url.startswith("https://auth.example/"):
            return 200, {}, json.dumps({"token": "granted"}).encode()
        for start, status in self.statuses.items():
            if url.startswith(start):
                if "/manifests/" in url and (headers or {}).get("Authorization") != "Bearer granted":
                    return 401, {"www-authenticate": _CHALLENGE}, b""
                return status, {}, b""
        raise OSError("Name or service not known")


_CHALLENGE = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"'
