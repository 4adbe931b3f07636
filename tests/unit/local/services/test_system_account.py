import os
from pathlib import Path

import pytest

from infra.local.errors import CannotStart
from infra.local.services import system_account

TRUE = Path("/bin/true")


def test_an_ordinary_user_runs_postgres_as_is(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 1234)
    owner = tmp_path.stat().st_uid
    assert system_account.choose_account(tmp_path, TRUE, uid=owner) == system_account.SystemAccount((), owner)


def test_an_ordinary_user_cannot_use_the_files_of_another(tmp_path: Path) -> None:
    other = tmp_path.stat().st_uid + 1
    with pytest.raises(CannotStart, match=f"sudo chown -R {other} {tmp_path}"):
        system_account.choose_account(tmp_path, TRUE, uid=other)


def test_root_uses_a_namespace_then_the_clones_owner_then_an_unprivileged_user() -> None:
    prefixes = [(each.prefix[:2], each.owner) for each in system_account.root_accounts(1234)]
    assert prefixes == [
        (("unshare", "--user"), 0),
        (("setpriv", "--reuid=1234"), 1234),
        (("setpriv", "--reuid=65534"), 65534),
    ]
    assert [each.owner for each in system_account.root_accounts(0)] == [0, 65534]


def test_where_no_account_can_run_it_the_alternatives_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        system_account, "root_accounts", lambda _: [system_account.SystemAccount(("/bin/false",), 0)]
    )
    with pytest.raises(CannotStart, match=r"ordinary user .* DATABASE_URL"):
        system_account.choose_account(tmp_path, TRUE, uid=0)
