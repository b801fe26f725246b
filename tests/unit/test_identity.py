"""Interned identities: one copy for equal contents, gone with the last row that shows it."""

from __future__ import annotations

from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip._core import Identities, MemberTable

FIELDS = 40  # bytes of an identity before its name, address and metadata


class Contents(TypedDict):
    addr: bytes
    port: int
    meta: bytes
    vsn: bytes


CONTENTS = Contents(addr=b"\x0a\0\0\1", port=7946, meta=b"role=web", vsn=b"\1\5\2\2\5\4")


def test_tables_share_the_identities_of_equal_members() -> None:
    identities = Identities()
    tables = [MemberTable(identities, seed) for seed in range(3)]
    for table in tables:
        for number in range(50):
            table.add(b"node-%d" % number, **CONTENTS)
    assert len(identities) == 50


@pytest.mark.parametrize(
    "change",
    [
        Contents({**CONTENTS, "addr": b"\x0a\0\0\2"}),
        Contents({**CONTENTS, "addr": bytes(10) + b"\xff\xff\x0a\0\0\1"}),
        Contents({**CONTENTS, "port": 7947}),
        Contents({**CONTENTS, "meta": b"role=db"}),
        Contents({**CONTENTS, "meta": b""}),
        Contents({**CONTENTS, "vsn": b"\1\5\2\2\5\5"}),
    ],
)
def test_each_field_makes_another_identity(change: Contents) -> None:
    identities = Identities()
    one, other = MemberTable(identities), MemberTable(identities)
    one.add(b"n", **CONTENTS)
    other.add(b"n", **change)
    assert len(identities) == 2


def test_the_border_between_name_and_metadata_makes_another_identity() -> None:
    identities = Identities()
    table = MemberTable(identities)
    table.add(b"ab", addr=b"", meta=b"c")
    table.add(b"a", addr=b"", meta=b"bc")
    assert len(identities) == 2


def test_an_identity_goes_with_the_last_row_that_shows_it() -> None:
    identities = Identities()
    one, other = MemberTable(identities), MemberTable(identities)
    rows = one.add(b"n", **CONTENTS), other.add(b"n", **CONTENTS)
    one.remove(rows[0])
    assert len(identities) == 1
    other.remove(rows[1])
    assert (len(identities), identities.nbytes) == (0, 0)


def test_a_member_that_changes_gives_its_old_identity_back() -> None:
    identities = Identities()
    table = MemberTable(identities)
    row = table.add(b"n", **CONTENTS)
    table.set_identity(row, b"n", b"\x0a\0\0\2", 1, b"", bytes(6))
    assert len(identities) == 1
    assert table.row(row)[:5] == (b"n", b"\x0a\0\0\2", 1, b"", bytes(6))


def test_a_member_that_changes_to_what_it_is_keeps_its_identity() -> None:
    identities = Identities()
    table = MemberTable(identities)
    row = table.add(b"n", **CONTENTS)
    table.set_identity(row, b"n", **CONTENTS)
    assert len(identities) == 1
    assert table.row(row)[0] == b"n"


def test_a_table_that_ends_gives_everything_back() -> None:
    identities = Identities()
    table = MemberTable(identities)
    for number in range(100):
        table.add(b"node-%d" % number)
    del table
    assert (len(identities), identities.nbytes) == (0, 0)


def test_a_table_may_outlive_the_python_object_of_its_identities() -> None:
    table = MemberTable(Identities())
    row = table.add(b"n", **CONTENTS)
    assert table.row(row)[0] == b"n"


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.binary(max_size=2)), max_size=60))
def test_there_are_as_many_identities_as_different_contents(
    members: list[tuple[bytes, bytes]],
) -> None:
    identities = Identities()
    tables = [MemberTable(identities, seed) for seed in range(len(members))]
    rows = [table.add(name, meta=meta) for table, (name, meta) in zip(tables, members, strict=True)]
    assert len(identities) == len(set(members))
    assert identities.nbytes == sum(
        FIELDS + len(name) + 4 + len(meta) for name, meta in set(members)
    )
    for removed in range(len(members)):
        tables[removed].remove(rows[removed])
        assert len(identities) == len(set(members[removed + 1 :]))
