"""Python values on the wire, with the msgpack package as the oracle."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip._core import pack

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(0, 2**64 - 1)
    | st.integers(-32, -1)
    | st.floats(allow_nan=False)
    | st.binary(max_size=300)
    | st.text(max_size=100)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=40,
)


@given(VALUES)
def test_values_are_written_as_the_old_msgpack_has_them(value: Any) -> None:
    try:
        packed = pack(value)
    except ValueError:
        return  # nested too deeply: shown below
    assert packed == msgpack.packb(value, use_bin_type=False)


def test_negative_numbers_take_the_signed_forms() -> None:
    for number in (-1, -32, -33, -128, -129, -(2**15), -(2**31), -(2**63)):
        assert pack(number) == msgpack.packb(number)


def test_names_that_are_not_utf8_go_back_as_they_came() -> None:
    assert pack(b"\xff\xfe".decode("utf-8", "surrogateescape")) == pack(b"\xff\xfe")


def test_too_much_too_deep_and_too_strange_values_are_refused() -> None:
    assert len(pack(bytes(65533))) == 65536
    with pytest.raises(ValueError, match="longer than 65536"):
        pack(bytes(65534))
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="deeper than 8"):
        pack(loop)
    with pytest.raises(TypeError, match="object has no form"):
        pack({"a": object()})
    with pytest.raises(OverflowError):
        pack(2**64)
