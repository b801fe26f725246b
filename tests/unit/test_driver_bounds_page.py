"""docs/limits.md names every bound of the drivers."""

from __future__ import annotations

import re
from pathlib import Path

from gossip._io import bounds

PAGE = (Path(__file__).resolve().parents[2] / "docs/limits.md").read_text()


def test_every_bound_of_the_driver_is_explained() -> None:
    section = PAGE.split("## The drivers")[1].split("\n## ")[0]
    explained = re.findall(r"`([A-Z][A-Z_]+)`", section)
    assert sorted(explained) == sorted(name for name in vars(bounds) if name.isupper())
