"""Where an engine's URL leads to. What goes over a socket is in tests/integration/chat/test_transport.py."""

import pytest

from functions.chat.engines.transport import Address


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("http://localhost:8000/v1/models", "localhost", 8000, "localhost:8000", "/v1/models"),
        ("https://engine.example/v1", "engine.example", 443, "engine.example", "/v1"),
        ("http://engine.example:80/v1", "engine.example", 80, "engine.example", "/v1"),
        ("https://engine.example:80/v1", "engine.example", 80, "engine.example:80", "/v1"),
        ("http://Engine.Example/V1", "engine.example", 80, "engine.example", "/V1"),
        ("http://[::1]:8080/v1", "::1", 8080, "[::1]:8080", "/v1"),
        ("http://[2001:db8::1]/v1", "2001:db8::1", 80, "[2001:db8::1]", "/v1"),
        ("http://bücher.example/v1", "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/v1"),
        ("http://my_engine:1/v1", "my_engine", 1, "my_engine:1", "/v1"),
        ("http://a", "a", 80, "a", "/"),
        ("http://a/ü/a%20b/~x;y=1,(z)!/{m}", "a", 80, "a", "/%C3%BC/a%20b/~x;y=1,(z)!/%7Bm%7D"),
        ("http://a/v1?key=b%20c", "a", 80, "a", "/v1?key=b%20c"),
    ],
)
def test_reads_a_url(url: str, host: str, port: int, authority: str, target: str) -> None:
    address = Address.of(url)
    assert address == (url.partition(":")[0], host, port, authority, target)


@pytest.mark.parametrize("url", ["http://a:99999/v1", f"http://{'ü' * 70}.example/v1"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"Port|label"):
        Address.of(url)
