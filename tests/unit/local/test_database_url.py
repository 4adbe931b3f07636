import pytest

from infra.local import database_url
from infra.local.errors import CannotStart


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" \n", ""),
        (
            "postgresql://u:p@h:1/d?schema=s&sslmode=require",
            "postgresql://u:p@h:1/d?schema=s&sslmode=require",
        ),
        ("postgres://h/d", "postgresql://h:5432/d"),
        (" postgresql://u:p@[::1]/d\r\n", "postgresql://u:p@[::1]:5432/d"),
        ("postgresql://u:pa$word$$x#y@h:1/d", "postgresql://u:pa%24word%24%24x%23y@h:1/d"),
    ],
)
def test_an_address_gets_the_form_that_every_client_reads(text: str, url: str) -> None:
    assert database_url.read_database_url(text) == url


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "secret", "postgresql://u:secret@h:port/d"])
def test_what_is_wrong_is_reported_without_the_password(url: str) -> None:
    with pytest.raises(
        CannotStart, match=r"^DATABASE_URL is invalid: expected [^.]*postgresql://[^.]*\.$"
    ) as failed:
        database_url.read_database_url(url)
    assert "secret" not in str(failed.value)


def test_host_and_port_are_all_that_is_shown() -> None:
    assert database_url.host_and_port("postgresql://u:secret@h/d") == "h:5432"


def test_a_password_is_hidden_encoded_or_not() -> None:
    text = database_url.hide_password("a%40b and a@b and u", "postgresql://u:a%40b@h/d")
    assert text == "*** and *** and u"
