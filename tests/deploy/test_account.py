"""The account itself, without any stack."""

from pathlib import Path

import psutil
import pytest

from tests.deploy.account import local_account

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]


def test_nothing_is_left_of_it_where_a_test_fails(tmp_path: Path) -> None:
    before = set(psutil.pids())
    ours: list[psutil.Process] = []

    def use() -> None:
        with local_account(tmp_path, postgres={}, variables={}) as account:
            ours.extend(psutil.Process(pid) for pid in set(psutil.pids()) - before if is_ours(pid))
            listening = [each.laddr.ip for process in ours for each in process.net_connections("inet")]
            assert set(listening) == {"127.0.0.1"}
            assert account.stacks() == {}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert ours
    assert not any(process.is_running() for process in ours)


def is_ours(pid: int) -> bool:
    """Return whether a process is the account's; others may end, or have ended, meanwhile."""
    try:
        return "tests.deploy.cloud" in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
