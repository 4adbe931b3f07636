"""Which origins are read. What browsers get is tested with the functions, in `tests/integration`."""

import pytest

from functions.shared.cors import origins_from, with_cors
from functions.shared.environment import SettingsError


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("  ", ()),
        ("*", ("*",)),
        ("http://localhost:3000", ("http://localhost:3000",)),
        ("https://a.example, http://b", ("https://a.example", "http://b")),
        ("HTTPS://A.Example", ("https://a.example",)),
        ("https://a:443,http://a:80,https://a:80", ("https://a", "http://a", "https://a:80")),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
        ("tauri://localhost,chrome-extension://abc", ("tauri://localhost", "chrome-extension://abc")),
    ],
)
def test_origins_are_read_as_browsers_send_them(text: str, origins: tuple[str, ...]) -> None:
    assert origins_from({"CORS_ORIGINS": text}) == origins


def test_without_the_variable_no_page_may_call() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise NotImplementedError

    assert origins_from({}) == ()
    assert with_cors(app, ()) is app


@pytest.mark.parametrize(
    "text",
    [
        *("localhost:3000", "https://", "https://a/", "https://a/b", "https://a?b", "https://u@a", "null"),
        *(
            "https://*.a",
            "https://a:port",
            "//a",
            "*,https://a",
            "https://a,",
            "https://a b",
            "https://a;b://c",
        ),
    ],
)
def test_what_is_no_origin_names_the_variable(text: str) -> None:
    with pytest.raises(SettingsError, match=r"CORS_ORIGINS: expected origins like .* but got "):
        origins_from({"CORS_ORIGINS": text})
