import pytest

from infra.local import database_url
from infra.local.errors import CannotStart


@pytest.mark.parametrize(
    "url", ["", "postgresql://u:p@h:1/d", "postgres://h/d", "postgresql://u@[::1]/d?schema=s&sslmode=require"]
)
def test_what_prisma_can_use_is_kept_as_it_is(url: str) -> None:
    assert database_url.check_database_url(url) == url


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("mysql://u:secret@h/d", "it begins otherwise"),
        ("secret", "it begins otherwise"),
        ("postgresql://u:secret@/d", "it has no host"),
        ("postgresql://u:secret@h", "it has no database name"),
        ("postgresql://u:secret@h:0/d", "it has no port"),
        ("postgresql://u:secret@h:port/d", "cannot be read"),
        ("postgresql://u:secret/x@h/d", "cannot be read"),
        ("postgresql://u:secret@[h/d", "cannot be read"),
    ],
)
def test_what_is_wrong_is_reported_without_the_password(url: str, what: str) -> None:
    with pytest.raises(CannotStart, match=what) as failed:
        database_url.check_database_url(url)
    assert "secret" not in str(failed.value)


def test_host_and_port_are_all_that_is_shown() -> None:
    assert database_url.host_and_port("postgresql://u:secret@h/d") == "h:5432"


def test_a_password_is_hidden_encoded_or_not() -> None:
    text = database_url.hide_password("a%40b and a@b and u", "postgresql://u:a%40b@h/d")
    assert text == "*** and *** and u"
