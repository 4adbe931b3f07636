"""The system account that runs Postgres, which refuses to run as root.

Root becomes another user in a user namespace, where the files stay root's. Where namespaces are not permitted
(in many containers), Postgres runs as the owner of the clone, or as an unprivileged user, who then own the
files.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import CannotStart

_UNPRIVILEGED_UID = 65534
_IN_A_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--")
_CAN_RUN = 'test -x "$1" && exec "$2" --version'


@dataclass(frozen=True)
class SystemAccount:
    """How Postgres's programs are run.

    Shape:  `prefix` stands before each command; `owner` is the user id that owns the files.
    """

    prefix: tuple[str, ...]
    owner: int

    def can_run(self, program: Path, folder: Path) -> bool:
        """Return whether the account can run a program and open a folder."""
        command = (*self.prefix, "/bin/sh", "-c", _CAN_RUN, "sh", str(folder), str(program))
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


def choose_account(directory: Path, program: Path, uid: int | None = None) -> SystemAccount:
    """Choose an account that can run a program and use a directory, and make it the owner of the files there.

    Raises: CannotStart, where there is none, or where the files belong to another user.
    """
    uid = os.geteuid() if uid is None else uid
    owner = directory.stat().st_uid
    if uid and owner == uid:
        return SystemAccount((), uid)
    if uid:
        raise CannotStart(
            f"{directory} belongs to another user. Hand it over: sudo chown -R {uid} {directory}"
        )
    for account in root_accounts(directory.parent.stat().st_uid):
        if account.can_run(program, directory.parent):
            if owner != account.owner:
                for path in (directory, *directory.rglob("*")):
                    os.chown(path, account.owner, account.owner, follow_symlinks=False)
            return account
    raise CannotStart(
        "Postgres refuses to run as root, and no other user can run it here. Start as an ordinary"
        " user who owns the clone, or use a database of your own: make run DATABASE_URL=postgresql://…"
    )


def root_accounts(clone_owner: int) -> Iterator[SystemAccount]:
    """Yield the accounts that root can use, best first."""
    yield SystemAccount(_IN_A_NAMESPACE, 0)
    for owner in (clone_owner, _UNPRIVILEGED_UID):
        if owner:
            prefix = ("setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", "--")
            yield SystemAccount(prefix, owner)
