"""Images, audio and files: what an engine may be sent, and which addresses it may fetch."""

import asyncio
import socket
from typing import Any

import pytest

from functions.chat.api import chat_schema, media
from functions.chat.errors import InvalidRequest
from tests.unit.chat.fakes import model

PNG = "data:image/png;base64,iVBORw0KGgo="
HOST = "images.example.com"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**members: Any) -> dict[str, Any]:
    return {"type": "file", "file": members}


def audio(data: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


async def check(part: dict[str, Any], *hosts: str) -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]},
    ]
    checked = chat_schema.check({"model": "tiny", "messages": messages})
    await media.check(media.media_of(checked.messages), model(media_hosts=frozenset(hosts)))


async def refused(part: dict[str, Any], *hosts: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        await check(part, *hosts)
    assert (raised.value.param or "").startswith("messages[1].content[1].")
    assert len(raised.value.message) < 400
    return raised.value


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What any name resolves to."""
    resolved = ["93.184.216.34"]

    async def getaddrinfo(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        if not resolved:
            raise socket.gaierror(socket.EAI_NONAME, host)
        return [(0, 0, 0, "", (each, port)) for each in resolved]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return resolved


@pytest.mark.anyio
@pytest.mark.parametrize(
    "part",
    [
        image(PNG),
        image(PNG.upper().replace("IVBORW0KGGO=", "iVBORw0KGgo=")),
        image("data:image/jpeg;charset=utf-8;base64,AAAA"),
        image("data:image/vnd.ms-photo;base64,AAAA"),
        audio(""),
        audio("AAAA"),
        file(file_data="AAAA"),
        file(file_data="data:application/pdf;base64,AAAA", filename="a.pdf"),
        file(file_data="data:text/plain;base64,AAAA"),
    ],
    ids=str,
)
async def test_data_is_accepted(part: dict[str, Any]) -> None:
    await check(part)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "",
        "data:",
        "data:image/png,AAAA",
        "data:;base64,AAAA",
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:image/png;base64,A",
        "data:image/png;base64,AA AA",
        "data:image/png;base64,AAAA\n",
        "data:image/png;base64,ÄAAA",
        " " + PNG,
        "iVBORw0KGgo=",
    ],
)
async def test_other_data_is_refused(url: str) -> None:
    assert (await refused(image(url))).code == "invalid_value"


URLS = [
    f"http://{HOST}/a.png",
    f"https://user@{HOST}/a.png",
    f"https://{HOST}@evil.example/a.png",
    f"https://{HOST}:443/a.png",
    f"https://{HOST}:8080/a.png",
    f"https://{HOST}./a.png",
    f"https://{HOST}.evil.example/a.png",
    f"https://evil.example/{HOST}/a.png",
    f"https://evil.example\\@{HOST}/a.png",
    f"https://{HOST}\\@evil.example/a.png",
    f"https://{HOST}#@evil.example/a.png",
    f"https://{HOST}?@evil.example/a.png",
    f"https://{HOST}",
    f"https://{HOST}/a b.png",
    f"https://{HOST}/a.png\n",
    f"https://\t{HOST}/a.png",
    f"https:/{HOST}/a.png",
    f"https:{HOST}/a.png",
    f"//{HOST}/a.png",
    f"ftp://{HOST}/a.png",
    "https://images.example.cоm/a.png",
    "https://images。example。com/a.png",
    "https://%69mages.example.com/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/a.png",
    "https://2130706433/a.png",
    "https://localhost/a.png",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "gopher://127.0.0.1:6379/_",
    "blob:https://images.example.com/1",
    "javascript:alert(1)",
]


@pytest.mark.anyio
@pytest.mark.parametrize("url", URLS)
async def test_any_other_address_is_refused_with_the_setting_that_allows_hosts(url: str) -> None:
    for hosts in ((), (HOST,)):
        error = await refused(image(url), *hosts)
        assert (error.param, error.code) == ("messages[1].content[1].image_url.url", "invalid_value")
        assert "`media_hosts`" in error.message
        assert "MEDIA_HOSTS" in error.message


@pytest.mark.anyio
@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(
    "url", [f"https://{HOST}/a.png?b=c&d=%20", "HTTPS://Images.Example.Com/", f"https://{HOST}/@a"]
)
async def test_an_address_at_a_named_host_is_accepted(url: str) -> None:
    await check(image(url), "other.example", HOST)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
async def test_a_named_host_at_an_address_that_is_not_public_is_refused(
    address: str, addresses: list[str]
) -> None:
    addresses.append(address)
    assert "public address" in (await refused(image(f"https://{HOST}/a.png"), HOST)).message


@pytest.mark.anyio
async def test_a_named_host_that_cannot_be_resolved_is_refused(addresses: list[str]) -> None:
    addresses.clear()
    assert "cannot be resolved" in (await refused(image(f"https://{HOST}/a.png"), HOST)).message


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert media.is_public(address)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("part", "param", "code"),
    [
        (file(file_id="file-1"), "file.file_id", "unknown_parameter"),
        (file(file_id="file-1", file_data="AAAA"), "file.file_id", "unknown_parameter"),
        (file(), "file.file_data", "missing_required_parameter"),
        (file(file_url="https://evil.example/"), "file.file_data", "missing_required_parameter"),
        (file(file_data="https://evil.example/"), "file.file_data", "invalid_value"),
        (file(file_data="data:,x"), "file.file_data", "invalid_value"),
        (file(file_data="data:;base64,AAAA"), "file.file_data", "invalid_value"),
        (audio("http://169.254.169.254/"), "input_audio.data", "invalid_value"),
        (audio("data:audio/wav;base64,AAAA"), "input_audio.data", "invalid_value"),
        (audio("\ud800"), "input_audio.data", "invalid_value"),
    ],
    ids=str,
)
async def test_files_and_audio_are_data(part: dict[str, Any], param: str, code: str) -> None:
    error = await refused(part)
    assert (error.param, error.code) == (f"messages[1].content[1].{param}", code)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind",
    ["video_url", "audio_url", "image_embeds", "prompt_embeds", "input_image", "image_pil", "thinking"],
)
async def test_other_parts_are_refused_by_their_type(kind: str) -> None:
    error = await refused({"type": kind, kind: {"url": PNG}, "uuid": "1"})
    assert (error.param, error.code) == ("messages[1].content[1].type", "invalid_value")
