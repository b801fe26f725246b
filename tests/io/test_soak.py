"""What a process holds does not grow while nodes come, talk, leave, fail and close in it.

The long form is 600 seconds: GOSSIP_SOAK_SECONDS.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from . import soak

ROOT = Path(__file__).resolve().parents[2]

SECONDS = float(os.environ.get("GOSSIP_SOAK_SECONDS", "20"))

# How much more of each may be held at the least in the last third of the rounds than in the second.
ROOM = {
    "malloc_bytes": 256 << 10,
    "python_blocks": 3000,
    "resident_bytes": 6 << 20,
    "descriptors": 16,  # streams may linger at the moment of a line
    "threads": 0,
}


def test_memory_and_descriptors_are_flat() -> None:
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    done = subprocess.run(
        [sys.executable, soak.__file__, str(SECONDS)],
        env=os.environ | {"MALLOC_ARENA_MAX": "1", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *lines, end = map(json.loads, done.stdout.splitlines())
    third = len(lines) // 3
    assert third >= 10
    for what, room in ROOM.items():
        before = min(line[what] for line in lines[third : 2 * third])
        after = min(line[what] for line in lines[2 * third :])
        assert after <= before + room, what
    assert end["descriptors"] == end["descriptors_before"]
    assert end["threads"] == 1
