"""RDS's certificates: read by OpenSSL, of every region, valid for years, and no others."""

import re
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from infra.bundling.commands import node
from infra.bundling.prisma_layer import PRISMA

# Some of those in which this can be deployed.
_REGIONS = {
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "eu-north-1",
    "ap-southeast-2",
}
_KINDS = ("RSA2048", "RSA4096", "ECC384")
_NAME = re.compile(r"Amazon RDS ([a-z]{2}-[a-z-]+-\d) Root CA (RSA2048|RSA4096|ECC384) G1")


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """What of layers/prisma writes the certificates, without any of one's own."""
    shutil.copy(PRISMA / "rds-ca.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(PRISMA / "node_modules")
    return tmp_path


def write(layer: Path) -> Path:
    """Write the certificates; return the folder."""
    folder = layer / "written"
    subprocess.run((node(), str(layer / "rds-ca.mjs"), str(folder)), check=True)
    return folder


def names(path: Path) -> list[str]:
    """Return whose certificates a file has, each of them checked."""
    found = []
    for certificate in x509.load_pem_x509_certificates(path.read_bytes()):
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365 * 5)
        assert certificate.issuer == certificate.subject
        found.append(str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value))
    return found


def test_all_regions_in_one(layer: Path) -> None:
    folder = write(layer)
    roots = [_NAME.fullmatch(name) for name in names(folder / "rds-ca.pem")]
    assert all(roots)
    regions = {root[1] for root in roots if root}
    assert regions > _REGIONS
    assert len(roots) == len(_KINDS) * len(regions)
    context = ssl.create_default_context(cafile=str(folder / "rds-ca.pem"))
    assert len(context.get_ca_certs()) == len(roots)


def test_a_region_begins_with_what_new_databases_get(layer: Path) -> None:
    """Prisma's native engine trusts the first certificate of a file, and no other."""
    by_region = {path.stem: names(path) for path in (write(layer) / "rds-ca").iterdir()}
    assert by_region.keys() > _REGIONS
    for region, found in by_region.items():
        assert found == [f"Amazon RDS {region} Root CA {kind} G1" for kind in _KINDS]


def test_a_region_of_ones_own(layer: Path) -> None:
    own = layer / "rds-ca" / "xx-north-1.pem"
    own.parent.mkdir()
    shutil.copy(write(layer) / "rds-ca" / "eu-west-1.pem", own)
    folder = write(layer)
    assert (folder / "rds-ca" / "xx-north-1.pem").read_text() == own.read_text()
    assert own.read_text() in (folder / "rds-ca.pem").read_text()
