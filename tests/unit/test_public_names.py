"""What `import gossip` gives, and what it must not load."""

from __future__ import annotations

import subprocess
import sys

COMMAND_LINE = {"click", "rich", "gossip.agent"}


def test_importing_gossip_loads_nothing_of_the_command_line() -> None:
    code = "import sys, gossip; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "gossip" in done.stdout.splitlines()
    assert COMMAND_LINE.isdisjoint(done.stdout.splitlines())
