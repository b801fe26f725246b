"""docs/limits.md tells the truth about gossip/core/limits.pxi."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "gossip/core/limits.pxi").read_text()
PAGE = (ROOT / "docs/limits.md").read_text()


def limits_of_the_source() -> dict[str, int]:
    """Every bound by name: a number, or a number shifted left."""
    text = SOURCE.split("cdef enum DropReason")[0]
    pattern = r"^(?: {4}|cdef uint(?:32|64)_t )([A-Z]\w+) = (0x[0-9A-F]+|\d+)(?: << (\d+))?"
    found = re.findall(pattern, text, re.M)
    return {name: int(number, 0) << int(shift or 0) for name, number, shift in found}


def reasons_of_the_source() -> set[str]:
    return {name.lower() for name in re.findall(r"^ {4}DROP_(\w+)", SOURCE, re.M)} - {
        "none",
        "reasons",
    }


def rows_of_the_page() -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_limit_is_explained_with_its_value() -> None:
    rows = [row for row in rows_of_the_page() if row[0].isupper()]
    explained = {row[0]: int(row[1].replace(",", "")) for row in rows}
    assert explained == limits_of_the_source()
    assert len(explained) > 20


def test_every_drop_reason_is_explained_once() -> None:
    names = [name for row in rows_of_the_page() if len(row) == 2 for name in row[0].split(", ")]
    explained = [name for name in names if name.islower() and name != "drop"]
    assert len(explained) == len(set(explained))
    assert set(explained) == reasons_of_the_source()
