"""Chains of certificates like those of RDS: a root's, an intermediate's, a server's."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def issue(
        cls, name: str, issuer: Certificate | None = None, *, host: str | None = None, age_days: int = 1
    ) -> Certificate:
        """Sign a certificate that is valid for 30 days; one for a host is no authority.

        Like RDS's own, those of authorities lack what RFC 5280 demands, which Python 3.13 checks by default.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        began = datetime.now(UTC) - timedelta(days=age_days)
        builder = (
            x509.CertificateBuilder(subject_name=subject, public_key=key.public_key())
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(began + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=False)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return cls(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(_PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def server_context(folder: Path, *chain: Certificate) -> ssl.SSLContext:
    """Return the TLS context of a server that sends these."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = folder / "server.pem"
    file.write_bytes(chain[0].key_pem + b"".join(each.pem for each in chain))
    context.load_cert_chain(file)
    return context
