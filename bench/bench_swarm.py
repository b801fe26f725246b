"""A hundred nodes over loopback, LAN timing, beside a hundred of memberlist's at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from bench import lab
from bench.figures import Figures

NODES = 100


def test_a_hundred_nodes(benchmark: Any, figures: Figures, extra: dict[str, Any]) -> None:
    commands = (
        ([sys.executable, "-P", "-m", "bench.peers.gossip_swarm", str(NODES)], lab.NODE_CORE),
        ([str(lab.BIN / "memberlist-bench"), "swarm", str(NODES)], lab.LOAD_CORE),
    )

    def run() -> list[dict[str, float]]:
        running = [
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                env=os.environ | {"GOMAXPROCS": "1"},
                preexec_fn=lambda core=core: os.sched_setaffinity(0, {core}),
            )
            for command, core in commands
        ]
        outputs = [each.communicate(timeout=300)[0] for each in running]
        assert not any(each.returncode for each in running)
        return [json.loads(output) for output in outputs]

    ours, theirs = benchmark.pedantic(run, rounds=1)
    for name in ("joined", "first", "all"):
        figures.put(f"swarm_{name}", ours[name] / theirs[name])
    for name in ("joined_cpu", "rest_cpu", "death_cpu"):
        figures.put(f"swarm_{name}", theirs[name] / ours[name])
    extra["swarm"] = {"ours": ours, "Go": theirs}
