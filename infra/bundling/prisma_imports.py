"""Prisma's client without what it imports and never uses here: a quarter of the time of a cold start.

Its models import the generator that wrote them, with its templates and parsers, for three names. The client
imports httpx for an engine that it would start and call, a parser for a pyproject.toml that is not there,
Pydantic 1 beside Pydantic 2, and types that only annotations name.
"""

import re
import shutil
from pathlib import Path

from infra.bundling.errors import BundleError

_STAND_INS = Path(__file__).with_name("prisma_stand_ins.py")
_FROM = "from prisma._stand_ins import"
# Lines of the client → in their place.
_REPLACED = {
    r"from \.generator import": _FROM,
    r"from \.generator\.models import": _FROM,
    r"import httpx$": "from prisma import _stand_ins as httpx",
    r"from httpx import": _FROM,
    r"import tomlkit$": "import tomllib as tomlkit",
    r"from pydantic\.v1 import Extra as Extra$": f"{_FROM} Extra as Extra",
    r"from pydantic\.v1\.typing import": _FROM,
    # Metrics and settings of an engine's process.
    r"from \._metrics import": _FROM,
    r"from \._config import config": f"{_FROM} config",
    # Typed dictionaries, which only annotations name.
    r"from \. import types, ": "from . import ",
    r"from \.types import DatasourceOverride, HttpConfig, MetricsFormat$": (
        "from ._types import DatasourceOverride, HttpConfig, MetricsFormat"
    ),
    r"types as types,  # noqa: TID251\n": "",
}
# What only they imported, and what the command line does.
UNUSED_PARTS = ("generator", "cli", "_vendor", "__main__.py", "mypy.py", "testing.py")
UNUSED_PACKAGES = (
    *("certifi", "click", "dotenv", "h11", "httpcore", "httpx", "jinja2", "markupsafe", "nodeenv"),
    *("prisma_cleanup", "tomlkit"),
)


def leave_out_unused(packages: Path) -> None:
    """Change a folder of packages, the generated client included.

    Raises: BundleError, where the client is another than the one that this was written for.
    """
    client = packages / "prisma"
    for part in UNUSED_PARTS:
        _remove(client / part)
    for name in UNUSED_PACKAGES:
        for path in (*packages.glob(name), *packages.glob(f"{name}.py")):
            _remove(path)
    left = set(_REPLACED)
    for module in client.rglob("*.py"):
        text = module.read_text()
        for line, replacement in _REPLACED.items():
            text, count = re.subn(rf"^( *){line}", rf"\1{replacement}", text, flags=re.MULTILINE)
            left -= {line} if count else set()
        module.write_text(text)
    if left:
        raise BundleError(
            f"Expected modules of Prisma's client with lines like {', '.join(sorted(left))}, but found none. "
            "infra/bundling/prisma_imports.py is written for prisma 0.15.0."
        )
    shutil.copy(_STAND_INS, client / "_stand_ins.py")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
