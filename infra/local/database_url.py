from urllib.parse import SplitResult, unquote, urlsplit

from infra.local.errors import CannotStart

_EXPECTED = "Expected DATABASE_URL to be like postgresql://user:password@host:5432/database, but {}."
_DEFAULT_PORT = 5432


def check_database_url(url: str) -> str:
    """Return an address that Prisma can use, "" for none.

    Raises: CannotStart; its text holds nothing of the address, which has a password in it.
    """
    if not url:
        return ""
    if not url.startswith(("postgresql://", "postgres://")):
        raise CannotStart(_EXPECTED.format("it begins otherwise"))
    try:
        parts = urlsplit(url)
        complete = {"host": parts.hostname, "database name": parts.path.strip("/"), "port": _port(parts)}
    except ValueError:
        raise CannotStart(_EXPECTED.format("its host or port cannot be read")) from None
    for name, value in complete.items():
        if not value:
            raise CannotStart(_EXPECTED.format(f"it has no {name}"))
    return url


def host_and_port(url: str) -> str:
    """Return the part of an address that may be shown: host and port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{_port(parts)}"


def hide_password(text: str, url: str) -> str:
    """Return a text with an address's password replaced by ***."""
    password = urlsplit(url).password or ""
    for secret in {password, unquote(password)} - {""}:
        text = text.replace(secret, "***")
    return text


def _port(parts: SplitResult) -> int:
    return _DEFAULT_PORT if parts.port is None else parts.port
