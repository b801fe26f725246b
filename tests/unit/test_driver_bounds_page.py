"""docs/limits.md names every bound of the drivers and of Serf's layer."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from gossip._io import bounds
from gossip._serf import bounds as serf_bounds

PAGE = (Path(__file__).resolve().parents[2] / "docs/limits.md").read_text()


@pytest.mark.parametrize(
    ("title", "module"), [("The drivers", bounds), ("Serf's layer", serf_bounds)]
)
def test_every_bound_of_a_module_is_explained(title: str, module: ModuleType) -> None:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    explained = re.findall(r"`([A-Z][A-Z_]+)`", section)
    assert sorted(explained) == sorted(name for name in vars(module) if name.isupper())
