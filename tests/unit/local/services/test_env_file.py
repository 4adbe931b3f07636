from pathlib import Path

import pytest

from infra.local.services.env_file import MARKER, read_env_file, write_env_file

URL = "postgresql://postgres:secret@127.0.0.1:1/todos"


def test_it_is_written_for_its_owner_only_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    for url in (URL.replace(":1/", ":2/"), URL):
        assert write_env_file(path, url) == ""
        assert path.read_text() == f"{MARKER}\nDATABASE_URL={url}\n"
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        (f"DATABASE_URL={URL}\n", False),
        (f"A=1\nexport DATABASE_URL = '{URL}'\n", False),
        (f'DATABASE_URL=" {URL} "\n', False),
        (f'#DATABASE_URL=x\nDATABASE_URL="{URL}"', False),
        ("DATABASE_URL=postgresql://me:mine@h/d\n", True),
        (f"#DATABASE_URL={URL}\n", True),
        ("", True),
    ],
)
def test_the_users_own_is_never_touched(text: str, differs: bool, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    remark = write_env_file(path, URL)
    assert path.read_text() == text
    assert bool(remark) is differs
    assert "mine" not in remark
    assert "secret" not in remark


def test_it_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert read_env_file(path) == ""
    path.write_text("OTHER=1\n")
    assert read_env_file(path) == ""
    write_env_file(tmp_path / "ours", URL)
    assert read_env_file(tmp_path / "ours") == URL
