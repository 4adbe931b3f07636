"""As whom Postgres runs: it refuses to run as root.

Root becomes another user in a namespace of its own, where its files stay its own; where namespaces are not
permitted (in many containers), it becomes the owner of the clone or nobody, who then own the files.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import CannotStart

_NOBODY = 65534
_IN_A_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--")
_REACHES = 'test -x "$1" && exec "$2" --version'


@dataclass(frozen=True)
class Account:
    """What stands before Postgres's commands, and which user then owns its files."""

    prefix: tuple[str, ...]
    owner: int


def choose_account(directory: Path, program: Path, uid: int | None = None) -> Account:
    """Choose an account that can run a program and reach a directory, and make the directory's files its own.

    Raises: CannotStart, where there is none, or where the files belong to somebody else.
    """
    uid = os.geteuid() if uid is None else uid
    if uid:
        return _checked(Account((), uid), directory)
    for account in root_accounts(directory.parent.stat().st_uid):
        if _reaches(account, directory.parent, program):
            _hand_over(directory, account.owner)
            return account
    raise CannotStart(
        "Postgres refuses to run as root, and nobody else is permitted to run it here. Start as an ordinary"
        " user who owns the clone, or use a database of your own: make run DATABASE_URL=postgresql://…"
    )


def root_accounts(clone_owner: int) -> Iterator[Account]:
    """Yield whom root may become, best first."""
    yield Account(_IN_A_NAMESPACE, 0)
    for owner in (clone_owner, _NOBODY):
        if owner:
            yield Account(("setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", "--"), owner)


def _reaches(account: Account, folder: Path, program: Path) -> bool:
    command = (*account.prefix, "/bin/sh", "-c", _REACHES, "sh", str(folder), str(program))
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _checked(account: Account, directory: Path) -> Account:
    if directory.stat().st_uid != account.owner:
        raise CannotStart(
            f"{directory} belongs to another user. Hand it over: sudo chown -R {account.owner} {directory}"
        )
    return account


def _hand_over(directory: Path, owner: int) -> None:
    if directory.stat().st_uid != owner:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)
