"""The address of the todo API's database. No text here quotes it, because it contains the password."""

import sys
from urllib.parse import quote

from infra.local.errors import CannotStart
from infra.paths import ROOT

# The package is installed nowhere here: functions get its folder, as on Lambda.
sys.path.append(str(ROOT / "layers" / "prisma" / "python"))

from prisma_in_process.url import InvalidUrl, read_url


def read_database_url(text: str) -> str:
    """Return an address in the form that every client reads, "" for none.

    Raises: CannotStart.
    """
    if not text.strip():
        return ""
    try:
        return read_url(text).text()
    except InvalidUrl as error:
        raise CannotStart(str(error).replace("The database URL", "DATABASE_URL", 1)) from None


def host_and_port(url: str) -> str:
    """Return the part of an address that may be shown: host and port."""
    return read_url(url).address


def hide_password(text: str, url: str) -> str:
    """Return a text with an address's password replaced by ***."""
    password = read_url(url).password or ""
    for secret in {password, quote(password, safe="")} - {""}:
        text = text.replace(secret, "***")
    return text
