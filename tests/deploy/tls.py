"""TLS before a Postgres that cannot speak it; as with Aurora's `rds.force_ssl`, nothing passes in the clear.

client ─SSLRequest─▶ ◀─S─ ─TLS─▶ (here) ─plain─▶ Postgres
"""

import asyncio
import datetime
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Node.js verifies names, of addresses it says "localhost".
NAME = "localhost"
_ADDRESS = "127.0.0.1"
# Source: PostgreSQL 18, "Message Formats", SSLRequest, read 2026-11-23.
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Make an authority and a server's certificate by it; return the authority's file and the server's."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("Test authority")
    basic = x509.BasicConstraints(ca=True, path_length=None)
    authority = _certificate(issuer, issuer, authority_key).add_extension(basic, critical=True)
    name = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    server = _certificate(_name(NAME), issuer, server_key).add_extension(name, critical=False)
    files = folder / "authority.pem", folder / "server.pem"
    files[0].write_bytes(_pem(authority.sign(authority_key, hashes.SHA256())))
    files[1].write_bytes(_pem(server.sign(authority_key, hashes.SHA256())) + _key_pem(server_key))
    return files


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain)


@contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[int]:
    """Serve TLS before a Postgres's port for as long as the context lasts; give the port of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tls-before-postgres", daemon=True)
    thread.start()

    async def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await _serve(client, back, port, context)
        back.close()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(accept, _ADDRESS, 0)

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


async def _serve(
    client: asyncio.StreamReader, back: asyncio.StreamWriter, port: int, context: ssl.SSLContext
) -> None:
    if await client.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
        return
    back.write(b"S")
    await back.drain()
    await back.start_tls(context)
    reader, writer = await asyncio.open_connection(_ADDRESS, port)
    try:
        await asyncio.gather(_pass(client, writer), _pass(reader, back))
    finally:
        writer.close()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()
