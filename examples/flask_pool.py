"""A Flask service whose worker processes are members of a pool, one node each.

    cd examples
    POOL_SEEDS=127.0.0.1:7946 gunicorn --config flask_gunicorn.py flask_pool:app

Workers are forked, and a node belongs to the process that started it: it is started after the fork,
by the hooks in flask_gunicorn.py, with and without `--preload`. Requests, on any thread, only look.
"""

import contextlib
import os
import socket

from flask import Flask

import gossip

app = Flask(__name__)
pool = contextlib.ExitStack()  # in each worker, what its end has to close
node: gossip.blocking.Memberlist


def enter_the_pool() -> None:
    global node
    node = gossip.blocking.Memberlist(
        f"{socket.gethostname()}-{os.getpid()}",  # unique: a machine has several workers
        bind="127.0.0.1:0",
        seeds=os.environ.get("POOL_SEEDS", "").split(),
    )
    pool.enter_context(node)


@app.get("/members")
def members() -> dict[str, object]:
    listed = {member.name: member.status for member in node.members()}
    return {"answered_by": node.name, "members": listed}
