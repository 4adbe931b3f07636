"""Which key is meant."""

import pytest

from functions.keys.errors import CommandFailed
from functions.keys.selection import select
from tests.unit.keys.store import a_key

ALICE = a_key(0x1F2E << 48)
BOB = a_key(0x1F3D << 48, name="bob")
KEYS = (ALICE, BOB)


@pytest.mark.parametrize("which", ["alice", "key_1f2e", "key_1f2e000000000000"])
def test_an_id_its_beginning_and_the_name_stand_for_a_key(which: str) -> None:
    assert select(KEYS, which) is ALICE


def test_a_whole_id_wins_over_a_name() -> None:
    named = a_key(7, name=ALICE.id)
    assert select([named, *KEYS], ALICE.id) is ALICE


def test_what_stands_for_two_lists_both() -> None:
    with pytest.raises(CommandFailed) as refused:
        select(KEYS, "key_1f")
    assert (
        str(refused.value)
        == """\
Expected one key, but 'key_1f' stands for 2. Give an id:
  key_1f2e000000000000  alice  sk-…Ab3d
  key_1f3d000000000000  bob    sk-…Ab3d"""
    )
    with pytest.raises(CommandFailed, match="'alice' stands for 2"):
        select([*KEYS, a_key(7)], "alice")
    with pytest.raises(CommandFailed, match="'key_1f2e' stands for 2"):
        select([*KEYS, a_key(7, name="key_1f2e")], "key_1f2e")


@pytest.mark.parametrize("which", ["Alice", "ali", "1f2e", "key_2", "key_1f2e0000000000000"])
def test_what_stands_for_none_lists_what_there_is(which: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        select(KEYS, which)
    first, *listed = str(refused.value).splitlines()
    assert first == f"No key has the id or the name {which!r}. There are:"
    assert [line.split()[1] for line in listed] == ["alice", "bob"]


def test_a_long_list_ends_early() -> None:
    with pytest.raises(CommandFailed) as refused:
        select([a_key(number) for number in range(1500)], "bob")
    lines = str(refused.value).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  … and 1,490 more: python -m functions.keys list"


def test_without_keys_it_says_how_to_make_one() -> None:
    with pytest.raises(CommandFailed, match=r"there are none yet\. Make the first: .* create --name alice"):
        select([], "bob")
