"""Prisma's URL of a database, read."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class Settings:
    """What Prisma's URL says."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.options = options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.schema = options.get("schema", "public")
        self.limit = int(options.get("connection_limit", 5))
        self.wait_s = float(options.get("pool_timeout", 10)) or None
        self.connect_s = float(options.get("connect_timeout", 5)) or None
        self.bouncer = options.get("pgbouncer") == "true"
        settings = {"application_name": options["application_name"]} if "application_name" in options else {}
        settings |= dict(re.findall(r"-c\s*([\w.]+)=(\S+)", options.get("options", "")))
        if self.schema != "public" and not self.bouncer:
            settings["search_path"] = f'"{self.schema}"'
        self.connect: dict[str, Any] = {
            "host": options.get("host") or unquote(parts.hostname or "localhost"),
            "port": parts.port or 5432,
            "user": unquote(parts.username or "postgres"),
            "password": unquote(parts.password) if parts.password is not None else None,
            "database": unquote(parts.path.lstrip("/")) or "postgres",
            "ssl": self._tls(),
            "timeout": self.connect_s,
            "statement_cache_size": 0,  # `Connection` keeps its own
            "server_settings": settings,
        }

    def _tls(self) -> Any:
        mode = self.options.get("sslmode", "prefer")
        if mode in ("disable", "prefer") and "sslcert" not in self.options:
            return False if mode == "disable" else "prefer"
        import ssl

        authority = self.options.get("sslcert")
        context = ssl.create_default_context(cafile=authority)
        # Python 3.13 asks more of certificates than Postgres's own clients do, and than databases' have.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.options.get("sslaccept", "accept_invalid_certs") != "strict":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
