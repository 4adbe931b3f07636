"""The clone's `.env`, where Prisma's command line finds the database while `make run` runs."""

import os
import re
from pathlib import Path

MARKER = "# Written by `make run`, which may replace it. Without this line the file is yours."
_VARIABLE = re.compile(r"^\s*(?:export\s+)?DATABASE_URL\s*=\s*(.*?)\s*$", re.MULTILINE)


def write_env_file(path: Path, url: str) -> str:
    """Write the database's address, unless the file is the user's own; return a warning, or ""."""
    found = path.read_text(errors="replace") if path.exists() else MARKER
    if found.startswith(MARKER):
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(f"{MARKER}\nDATABASE_URL={url}\n")
        new.replace(path)
        return ""
    if _database_url(found) == url:
        return ""
    return (
        f"{path} is yours and stays as it is, but its DATABASE_URL is not that of the database below:"
        " Prisma's commands will not reach what /graphql serves."
    )


def read_env_file(path: Path) -> str:
    """Return the database's address in the file, "" for none."""
    return _database_url(path.read_text(errors="replace")) if path.exists() else ""


def _database_url(text: str) -> str:
    values = _VARIABLE.findall(text)
    return values[-1].strip("\"' \t") if values else ""
