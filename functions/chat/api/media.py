"""Images, audio and files of a request: inline, or images at a host that the model's settings name.

An engine that fetches any address would reach its own network for any caller. The engine resolves the name
itself, and follows what redirects its own settings allow: its network has to be closed as well.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from functions.chat.api import body, faults
from functions.chat.api.faults import Path
from functions.chat.models import Model
from functions.shared.frozen import Frozen

RESOLVE_S = 2.0
# The parts that are not text, and where each has its data.
NAMES = {"image_url": "url", "input_audio": "data", "file": "file_data"}
# IPv4 addresses in IPv6, as NAT64 writes them.
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
# What else than base64 there is in data.
_PLAIN = b":;,=._-"
# Without regard to case. Compiled by the first request that needs them.
_DATA = r"(?ai)data:(?P<type>[a-z]+/[a-z0-9.+-]+)(;[a-z0-9=._-]+){0,9};base64,"
_IMAGE = r"(?ai)image/(?!svg)"
# No user, no port, nothing that parsers of URLs disagree about.
_ADDRESS = r"(?ai)https://(?P<host>[a-z0-9.-]+)/[!-\[\]-~]*"


class Medium(Frozen):
    """A part that is not text: itself, and where its object and the data of that are."""

    part: dict[str, Any]
    path: Path
    data_path: Path

    @property
    def data(self) -> str:
        """Its data, as far as it is here."""
        kind = self.part["type"]
        data: str = self.part[kind].get(NAMES[kind], "")
        return "" if data[:6].lower() == "https:" else data


def in_pieces(sent: dict[str, Any], media_parts: Iterable[Medium]) -> list[bytes]:
    """Return the JSON of a body in pieces: every second is the data of a medium, as it came.

    Raises: InvalidRequest, for what no engine can read.
    """
    cut = []
    for medium in media_parts:
        # What JSON has to escape is not left as it came, though no engine gets it.
        if (data := medium.data) and data.isascii() and not body.not_base64(data).translate(None, _PLAIN):
            kind = medium.part["type"]
            cut.append((medium.part[kind], NAMES[kind], data))
    if not cut:
        return [body.to_json(sent)]
    gap = os.urandom(12).hex()  # what no text has
    try:
        for media, name, _ in cut:
            media[name] = gap
        texts = body.to_json(sent).split(gap.encode())
    finally:
        for media, name, data in cut:
            media[name] = data
    pieces = texts[:1]
    for (_, _, data), text in zip(cut, texts[1:], strict=True):
        pieces += body.utf8_of(data), text
    return pieces


def is_public(text: str) -> bool:
    """Return whether an address is one of the internet's, also one that holds an IPv4 address."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address in TRANSLATED:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        else:
            address = address.ipv4_mapped or address.sixtofour or address
    return address.is_global and not address.is_multicast


async def check(media_parts: Iterable[Medium], model: Model) -> None:
    """Check that the engine need fetch nothing but images of the hosts that the model's settings name.

    Raises: InvalidRequest.
    """
    for medium in media_parts:
        kind = medium.part["type"]
        media, where = medium.part[kind], medium.data_path
        if "file_id" in media:
            raise faults.unknown(medium.path, "file_id", "This API keeps no files. Send `file_data`.")
        if NAMES[kind] not in media:
            raise faults.missing(where)
        data = media[NAMES[kind]]
        if kind != "input_audio" and data[:5].lower() == "data:":
            media_type = "image" if kind == "image_url" else "application"
            found = re.match(_DATA, data)
            if not found or not (kind == "file" or re.match(_IMAGE, found["type"])):
                raise faults.invalid(where, f"Expected `data:{media_type}/…;base64,…`.")
            _check_base64(data, found.end(), where)
        elif kind == "image_url":
            await _check_address(data, where, model)
        else:
            _check_base64(data, 0, where)


def media_of(messages: list[dict[str, Any]]) -> Iterator[Medium]:
    """Yield each part of messages that is not text."""
    for index, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list):
            for place, part in enumerate(content):
                if (kind := part["type"]) in NAMES:
                    path = (((((None, "messages"), index), "content"), place), kind)
                    yield Medium(part, path, (path, NAMES[kind]))


def _check_base64(data: str, begin: int, path: Path) -> None:
    """Check what begins there: that takes a fifth of the time of decoding it, and finds the same faults.

    Padding that completes nothing is one, too, which some versions of Python let stand.
    """
    before = body.not_base64(data[:begin])
    padding = body.not_base64(data)[len(before) :].decode() if data.isascii() else "?"
    if (len(data) - begin) % 4 or padding not in ("", "=", "==") or not data.endswith(padding):
        raise faults.invalid(path, "Expected base64, without spaces or line breaks.")


async def _check_address(url: str, path: Path, model: Model) -> None:
    found = re.fullmatch(_ADDRESS, url)
    if not found or found["host"].lower() not in model.media_hosts:
        raise faults.invalid(
            path,
            "Expected a `data:` URL (`data:image/png;base64,…`), or an `https` address at a host that the "
            "operator of this API has named in `media_hosts` of the model in MODELS (with `make run`, "
            "MEDIA_HOSTS).",
        )
    try:
        async with asyncio.timeout(RESOLVE_S):
            resolved = await asyncio.get_running_loop().getaddrinfo(
                found["host"], 443, type=socket.SOCK_STREAM
            )
    except OSError:  # a timeout too
        raise faults.invalid(path, "The name of its host cannot be resolved.") from None
    if not all(is_public(str(sockaddr[0])) for *_, sockaddr in resolved):
        raise faults.invalid(path, "Its host is not at a public address.")
