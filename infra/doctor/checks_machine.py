"""Checks of this machine, which makes the bundles, and of what is fetched from elsewhere."""

from __future__ import annotations

import json
import re
import urllib.parse
from dataclasses import dataclass

from infra.bundling.errors import BundleError
from infra.doctor.machine import Machine
from infra.doctor.report import Finding, failure, ok, warning
from infra.doctor.subject import Subject

PYTHON = "3.13"
_NODE = 22
_DOCKER_HUB = "registry-1.docker.io"
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def python(subject: Subject) -> Finding:
    """Check that Lambda's Python is here: it compiles what is deployed."""
    path = subject.machine.python(PYTHON)
    if path:
        return ok(path)
    install = f"install it so that `python{PYTHON}` runs, or `uv python install {PYTHON}`"
    return warning("none here: the deployment downloads one", f"without internet, {install}")


def node(subject: Subject) -> Finding:
    """Check that Node.js is here, which runs the CDK."""
    version = subject.machine.node()
    if not version:
        return failure("none here", "https://nodejs.org")
    if int(version.partition(".")[0]) < _NODE:
        return warning(f"{version}; CDK supports {_NODE} and newer", "https://nodejs.org")
    return ok(version)


def certificates(subject: Subject) -> Finding:
    """Check that the todo function would have the certificates by which it recognises its database."""
    try:
        regions = subject.machine.certificate_regions()
    except BundleError as error:
        return failure(" ".join(str(error).split()), "`npm ci` in layers/prisma")
    if subject.region in regions:
        return ok(f"of {len(regions)} regions, this one included")
    file = f"layers/prisma/rds-ca/{subject.region}.pem"
    bundle = f"https://truststore.pki.rds.amazonaws.com/{subject.region}/{subject.region}-bundle.pem"
    return failure(
        f"none of {subject.region}: the todo function would refuse its database", f"{bundle} as {file}"
    )


@dataclass(frozen=True)
class Image:
    """An image in a registry, as in `vllm/vllm-openai:v0.32.0`."""

    host: str
    name: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> Image:
        """Return the image of a name as Docker reads it."""
        named, _, digest = text.partition("@")
        host, _, rest = named.partition("/")
        if not re.search(r"[.:]", host):
            host, rest = _DOCKER_HUB, named if "/" in named else f"library/{named}"
        name, _, tag = rest.partition(":")
        return cls(host, name, digest or tag or "latest")

    @property
    def is_pinned(self) -> bool:
        """Whether it is always the same one."""
        return ":" in self.reference

    def status(self, machine: Machine) -> int:
        """Return the status of a request for its manifest, which no registry counts as a pull.

        Raises: OSError: no response.
        """
        url = f"https://{self.host}/v2/{self.name}/manifests/{self.reference}"
        headers = {"Accept": _MANIFESTS}
        status, received, _ = machine.request(url, method="HEAD", headers=headers)
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', received.get("www-authenticate", "")))
        if status == 401 and "realm" in challenge:
            query = urllib.parse.urlencode(
                {"service": challenge.get("service", ""), "scope": f"repository:{self.name}:pull"}
            )
            status, _, body = machine.request(f"{challenge['realm']}?{query}")
            if status == 200:
                granted = json.loads(body)
                token = granted.get("token") or granted.get("access_token")
                authorized = headers | {"Authorization": f"Bearer {token}"}
                status, _, _ = machine.request(url, method="HEAD", headers=authorized)
        return status


def registry(subject: Subject) -> Finding:
    """Check that the engine's image is where the build would copy it from."""
    engine = subject.stage.engine
    assert engine is not None
    image = Image.parse(engine.image)
    try:
        status = image.status(subject.machine)
    except (OSError, ValueError) as error:
        return warning(
            f"{image.host} cannot be reached from here: {error}", "the build in AWS reaches it itself"
        )
    if status == 404:
        return failure(f"{image.host} has no {engine.image}", "`image` in infra/stages.py")
    if status != 200:
        return warning(f"{image.host} gave status {status} for {engine.image}", "try again in some minutes")
    pinned = "" if image.is_pinned else ", by its tag"
    limited = "; pulls without an account are limited there" if image.host == _DOCKER_HUB else ""
    return ok(f"{engine.image} is there{pinned}{limited}")


def weights(subject: Subject) -> Finding:
    """Check that the model's weights are where the build would copy them from, which has no token there."""
    engine = subject.stage.engine
    assert engine is not None
    model = engine.model
    url = f"https://huggingface.co/{model.id}/resolve/{model.revision}/config.json"
    try:
        status, _, _ = subject.machine.request(url, method="HEAD")
    except OSError as error:
        return warning(
            f"huggingface.co cannot be reached from here: {error}", "the build in AWS reaches it itself"
        )
    if status in (401, 403):
        remedy = "`id` and `revision` of the model in infra/stages.py"
        return failure(f"{model.id} is not there, or only for accounts that it was granted to", remedy)
    if status == 404:
        return failure(f"{model.id} has no revision {model.revision}", "`revision` in infra/stages.py")
    if status != 200:
        return warning(f"huggingface.co gave status {status} for {model.id}", "try again in some minutes")
    return ok(f"{model.id} is there, {model.weights_gib} GiB")
