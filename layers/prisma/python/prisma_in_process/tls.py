"""TLS to Postgres, as a URL demands it."""

from __future__ import annotations

import ssl
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Literal

from .errors import UserError
from .url import DatabaseUrl


def tls(url: DatabaseUrl) -> ssl.SSLContext | Literal["prefer", False]:
    """Return what the driver takes as `ssl`. Raises: UserError, P1011."""
    if url.host.startswith("/") or url.tls == "disable":
        return False
    if url.tls == "prefer" and not url.key and not url.identity:
        return "prefer"
    try:
        return _context(url.tls, url.authority, url.certificate, url.key, url.identity, url.identity_password)
    except (OSError, ValueError) as error:
        text = "Error opening a TLS connection: a file of certificates or keys cannot be read"
        raise UserError("P1011", f"{text} ({type(error).__name__}).") from None


@lru_cache(maxsize=8)
def _context(
    tls: str,
    authority: str | None,
    certificate: str | None,
    key: str | None,
    identity: str | None,
    password: str,
) -> ssl.SSLContext:
    # Unlike `create_default_context` of Python 3.13, this demands no more of certificates than libpq does.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls == "verify-full"
    if not tls.startswith("verify-"):
        context.verify_mode = ssl.CERT_NONE
    elif authority:
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    if key:
        context.load_cert_chain(certificate or key, key, password)
    if identity:
        with tempfile.NamedTemporaryFile() as file:  # readable for its owner alone
            file.write(_pem(Path(identity).read_bytes(), password.encode()))
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _pem(identity: bytes, password: bytes) -> bytes:
    """Return the key and the certificates of a PKCS #12 file as Python's `ssl` takes them."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError:
        text = (
            "sslidentity needs the package cryptography: pip install cryptography, or use sslcert and sslkey"
        )
        raise UserError("P1011", f"Error opening a TLS connection: {text}.") from None
    found = pkcs12.load_pkcs12(identity, password or None)
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    key = found.key.private_bytes(pem, *plain) if found.key else b""
    certificates = [found.cert, *found.additional_certs]
    return key + b"".join(each.certificate.public_bytes(pem) for each in certificates if each)
