"""The API without async, for programs that do not run on asyncio: Flask, Django, Celery, scripts.

    with gossip.blocking.Node("web-1", bind="10.0.0.7:7946", seeds=["10.0.0.5"]) as node:
        for event in node.events():
            ...

Names, arguments and meanings are those of the facades for asyncio, and a test compares them; what
is awaited there blocks here.
"""

from gossip.blocking.memberlist import Memberlist, Subscription
from gossip.blocking.node import Node, PoolKeys, Query

__all__ = ["Memberlist", "Node", "PoolKeys", "Query", "Subscription"]
