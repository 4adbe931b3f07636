"""RDS's certificates: read by OpenSSL, of every region, valid for years, and no others."""

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


def test_each_region_has_its_own(layer: Path) -> None:
    by_region = {path.stem: path for path in (write(layer) / "rds-ca").iterdir()}
    assert by_region.keys() > _REGIONS
    for region, path in by_region.items():
        assert sorted(names(path)) == sorted(f"Amazon RDS {region} Root CA {kind} G1" for kind in _KINDS)
        context = ssl.create_default_context(cafile=str(path))
        assert len(context.get_ca_certs()) == len(_KINDS)


def test_a_region_of_ones_own(layer: Path) -> None:
    own = layer / "rds-ca" / "xx-north-1.pem"
    own.parent.mkdir()
    shutil.copy(write(layer) / "rds-ca" / "eu-west-1.pem", own)
    folder = write(layer)
    assert (folder / "rds-ca" / "xx-north-1.pem").read_text() == own.read_text()
