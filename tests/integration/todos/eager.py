"""An engine that reaches for the database first and ends where it fails, as the native one does.

That one cannot be had here. This one checks whether Postgres accepts TLS, waits for the answer as long as the
address says, and becomes the engine in WASM. Source: prisma-engines, query-engine, `main.rs` and `context.rs`
(`verify_connection`), read 2026-11-26.
"""

import sys
from pathlib import Path

_PROGRAM = """\
#!{python}
import json, os, socket, struct, sys
from urllib.parse import parse_qs, urlsplit

if "--version" not in sys.argv:
    url = urlsplit(json.loads(os.environ["OVERWRITE_DATASOURCES"])[0]["url"])
    limit_s = int(parse_qs(url.query)["connect_timeout"][0])
    try:
        with socket.create_connection((url.hostname, url.port), timeout=limit_s) as server:
            server.sendall(struct.pack("!ii", 8, 80877103))
            reached = server.recv(1)
    except OSError:
        reached = b""
    if not reached:
        sys.stderr.write('{{"message":"cannot be reached","error_code":"P1001"}}\\n')
        sys.exit(1)
os.execv({engine!r}, [{engine!r}, *sys.argv[1:]])
"""


def eager_engine(folder: Path, engine: Path) -> Path:
    """Write the program into a folder; return its path."""
    program = folder / "query-engine"
    program.write_text(_PROGRAM.format(python=sys.executable, engine=str(engine)))
    program.chmod(0o755)
    return program
