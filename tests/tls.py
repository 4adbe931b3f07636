"""Certificates for a test, and TLS in front of a Postgres: the one from the package registry has none."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class Authority:
    """Signs certificates; `file` holds its own, for those that trust it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _sign(self._name, self._name, self._key, self._key)
        self.file = folder / f"{name}.pem"
        self.file.write_text(self.certificate)

    def server(self, host: str) -> ssl.SSLContext:
        """Return the TLS context of a server with this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._folder / f"{host}.key.pem"
        chain.write_bytes(private + _sign(_name(host), self._name, key, self._key, host).encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _sign(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signing: ec.EllipticCurvePrivateKey,
    host: str | None = None,
) -> str:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class TlsProxy:
    """Accepts connections with TLS only, as RDS does with `rds.force_ssl`; `accepted` and `refused` count."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context, self._behind = context, port
        self.port = 0
        self.accepted = 0
        self.refused = 0

    async def serve(self, ready: threading.Event) -> None:
        """Serve until `stop` is called; connections that are open then end with the loop."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # of handshakes that clients interrupt
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopped.wait()
        server.close()

    def stop(self) -> None:
        """End serving, from another thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _pass(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                if await client.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
                    self.refused += 1
                    return
                back.write(b"S")
                await back.start_tls(self._context)
                self.accepted += 1
                there, out = await asyncio.open_connection("127.0.0.1", self._behind)
                await asyncio.gather(_copy(client, out), _copy(there, back))
            except asyncio.CancelledError:
                back.transport.abort()  # a TLS shutdown would outlive the loop
                raise
            finally:
                back.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


@contextmanager
def tls_proxy(context: ssl.SSLContext, port: int) -> Iterator[TlsProxy]:
    """Serve TLS before a port of this machine, in a thread."""
    proxy, ready = TlsProxy(context, port), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready)))
    thread.start()
    assert ready.wait(5)
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(5)
