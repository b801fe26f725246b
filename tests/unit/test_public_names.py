"""What `import gossip` gives, and what it must not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND_LINE = {"click", "rich", "gossip.agent"}


def loaded_by(code: str) -> set[str]:
    """The modules of a fresh interpreter that has run this."""
    code = f"import sys; {code}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


def test_importing_gossip_loads_nothing_of_the_command_line() -> None:
    loaded = loaded_by("import gossip")
    assert "gossip" in loaded
    assert COMMAND_LINE.isdisjoint(loaded)


def test_the_engine_of_patterns_is_loaded_by_a_node_and_not_with_its_first_query() -> None:
    pytest.importorskip("re2")
    node = "gossip.{}('a', bind='127.0.0.1:0')"
    assert "re2" not in loaded_by("import gossip; " + node.format("Memberlist"))
    assert "re2" in loaded_by("import gossip; " + node.format("Node"))
