"""What a caller accepts, by its `Accept` header.

Source: RFC 9110, 12.5.1, read 2026-11-26.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUALITY = re.compile(r"q\s*=\s*([\d.]+)", re.IGNORECASE)


def by_quality(accept: str) -> Iterator[str]:
    """Yield the media types of a header, the preferred first; those that it excludes are left out."""
    entries = []
    for number, entry in enumerate(accept.split(",")):
        name, _, parameters = entry.partition(";")
        found = _QUALITY.search(parameters)
        quality = float(found[1]) if found and found[1].count(".") < 2 and found[1] != "." else 1.0
        if quality > 0:
            entries.append((-quality, number, name.strip().lower()))
    return (name for _, _, name in sorted(entries))


def prefers_html(accept: str) -> bool:
    """Return whether a browser opens an address, rather than a program that calls it."""
    return next(by_quality(accept), "") == "text/html"
