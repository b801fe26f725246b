"""A node of kinship 0.4.0, to be loaded. Takes the settings of the Go node.

`python -m bench.peers.kinship_node SETTINGS` takes a JSON object and prints {"port": N}. After that
every line on standard input is answered with the node's counters; it ends with its input.
"""

from __future__ import annotations

import json
import sys

from kinship import Config
from kinship.blocking import Cluster

HOUR = 3600.0


def main() -> None:
    settings = json.loads(sys.argv[1])
    security = {"keys": [bytes.fromhex(settings["key"])]} if settings["key"] else {}
    config = Config.lan(
        name=settings["name"],
        bind="127.0.0.1:0",
        insecure_plaintext=not settings["key"],
        probe_interval=HOUR,
        gossip_interval=HOUR,
        push_pull_interval=HOUR,
        max_members=200_000,
        **security,
    )
    with Cluster(config) as cluster:
        port = int(cluster.local.addr.rsplit(":", 1)[1])
        print(json.dumps({"port": port}), flush=True)
        for _ in sys.stdin:
            print(json.dumps({"members": len(list(cluster.members()))}), flush=True)


if __name__ == "__main__":
    main()
