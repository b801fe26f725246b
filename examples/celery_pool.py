"""Celery workers whose pool processes are members of a pool, one node each.

    cd examples
    POOL_SEEDS=127.0.0.1:7946 celery --app celery_pool worker --concurrency 2
    python celery_pool.py                          # asks one of them who is here

Celery forks its pool processes: the node is started in each, by the signal `worker_process_init`.
The broker here is a folder, so that the example needs no server.
"""

import contextlib
import os
import socket
import tempfile
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

import gossip

folder = Path(os.environ.get("POOL_FOLDER", tempfile.gettempdir() + "/celery_pool"))
queue, results, control = folder / "queue", folder / "results", folder / "control"
for each in (queue, results, control):
    each.mkdir(parents=True, exist_ok=True)

app = Celery("celery_pool", broker="filesystem://", backend=f"file://{results}")
app.conf.broker_transport_options = {
    "data_folder_in": str(queue),
    "data_folder_out": str(queue),
    "control_folder": str(control),
}

app.conf.worker_proc_alive_timeout = 30.0  # for the signal's handlers; seeds may take their time

pool = contextlib.ExitStack()  # in each pool process, what its end has to close
node: gossip.blocking.Memberlist


@worker_process_init.connect
def enter_the_pool(**_: object) -> None:
    global node
    node = gossip.blocking.Memberlist(
        f"{socket.gethostname()}-{os.getpid()}",  # unique: a worker has several processes
        bind="127.0.0.1:0",
        seeds=os.environ.get("POOL_SEEDS", "").split(),
    )
    pool.enter_context(node)


@worker_process_shutdown.connect
def leave_the_pool(**_: object) -> None:
    pool.close()


@app.task
def members() -> dict[str, str]:
    return {member.name: str(member.status) for member in node.members()}


if __name__ == "__main__":
    for name, status in sorted(members.delay().get(timeout=600).items()):
        print(name, status)
