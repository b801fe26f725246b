"""`Node` without async: what it has beyond `Memberlist`, handed over to its twin for asyncio."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import ClassVar, Unpack, cast

from gossip import node
from gossip._io import pool_keys, queries
from gossip._io.pipe import Pipe
from gossip._serf.coordinates import Coordinate
from gossip.blocking.memberlist import Memberlist, on_a_thread
from gossip.blocking.twins import documented_by
from gossip.config import AcceptMember
from gossip.errors import TimeoutExpired
from gossip.node_config import NodeConfig, NodeTuning
from gossip.reports import JoinReport, KeyReport, QueryAck, QueryResponse


@documented_by(queries.Query)
class Query:
    """A query under way; an iterator over its acks and responses, each once a node.

        for answer in node.query("uptime"):
            match answer:
                case gossip.QueryResponse(node=name, payload=payload): ...

    It ends when every member that was asked has answered or gone, at the latest at its deadline,
    and with the node. Threads may share one: each answer goes to one.

    deadline: in seconds of the monotonic clock of this process. members: how many were asked.
    """

    def __init__(
        self, owner: Node, source: queries.Query, pipe: Pipe[QueryAck | QueryResponse]
    ) -> None:
        self.name = source.name
        self.ltime = source.ltime
        self.deadline = source.deadline
        self.members = source.members
        self._owner = owner  # it is not forgotten while somebody waits for answers
        self._source = source
        self._pipe = pipe

    @property
    def lost(self) -> int:
        return self._source.lost

    @property
    def early(self) -> bool:
        return self._source.early

    def __iter__(self) -> Query:
        return self

    def __next__(self) -> QueryAck | QueryResponse:
        answer = self._pipe.take(None)
        if answer is None:
            raise StopIteration
        return answer

    def responses(self, *, timeout: float | None = None) -> dict[str, bytes]:
        return {
            each.node: each.payload
            for each in self._until_the_end(timeout)
            if isinstance(each, QueryResponse)
        }

    def acks(self, *, timeout: float | None = None) -> set[str]:
        return {each.node for each in self._until_the_end(timeout) if isinstance(each, QueryAck)}

    def close(self) -> None:
        self._pipe.portal.soon(self._source.close)

    def _until_the_end(self, timeout: float | None) -> Iterator[QueryAck | QueryResponse]:
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            answer = self._pipe.take(None if ends is None else ends - time.monotonic())
            if answer is not None:
                yield answer
            elif self._pipe.over:
                return
            else:
                raise TimeoutExpired(f"the query {self.name} was not over within {timeout} s")

    def __repr__(self) -> str:
        return repr(self._source)


@documented_by(pool_keys.PoolKeys)
class PoolKeys:
    """The keys of all members of a pool; see `Node.keys`, and `gossip.PoolKeys` for each call."""

    def __init__(self, owner: Node, twin: pool_keys.PoolKeys) -> None:
        self._wait = owner._wait
        self._twin = twin

    def install(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        return self._wait(self._twin.install, key, relay_factor=relay_factor, timeout=timeout)

    def use(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        return self._wait(self._twin.use, key, relay_factor=relay_factor, timeout=timeout)

    def remove(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        return self._wait(self._twin.remove, key, relay_factor=relay_factor, timeout=timeout)

    def list(self, *, relay_factor: int = 0, timeout: float | None = None) -> KeyReport:
        return self._wait(self._twin.list, relay_factor=relay_factor, timeout=timeout)


@documented_by(node.Node)
class Node(Memberlist):
    """A node of a Serf pool, for programs without asyncio: `Memberlist`, and tags, events, queries.

        with gossip.blocking.Node("web-1", seeds=["10.0.0.5"], tags={"role": "web"},
                                  key_file="/etc/gossip.key", bind="10.0.0.7:7946") as node:
            node.send_event("cache-refresh", b"user:7")
            for answer in node.query("uptime", tags={"role": "web"}):
                ...

    From where it may be called, and how long a call waits, is said in `Memberlist`.
    """

    _twin: ClassVar[type[node.Node]] = node.Node

    def __init__(
        self,
        name: str | None = None,
        *,
        seeds: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        key: bytes | str | None = None,
        key_file: str | PurePath | None = None,
        keyring_file: str | PurePath | None = None,
        snapshot_path: str | PurePath | None = None,
        bind: str = "127.0.0.1:7946",
        advertise: str | None = None,
        label: str = "",
        plaintext: bool = False,
        accept_member: AcceptMember | None = None,
        retry_join: float = 5.0,
        replay_on_join: bool = False,
        **tuning: Unpack[NodeTuning],
    ) -> None:
        """Checks everything that can be checked without the network; raises ConfigError.

        The arguments are the fields of `NodeConfig`. The driver is always "thread".
        """
        tuning["driver"] = on_a_thread(tuning.get("driver"))
        self._setup(
            node.Node(
                name,
                seeds=seeds,
                tags=tags,
                key=key,
                key_file=key_file,
                keyring_file=keyring_file,
                snapshot_path=snapshot_path,
                bind=bind,
                advertise=advertise,
                label=label,
                plaintext=plaintext,
                accept_member=accept_member,
                retry_join=retry_join,
                replay_on_join=replay_on_join,
                **tuning,
            )
        )

    @property
    def _serf(self) -> node.Node:
        self._portal.check_process()
        return cast(node.Node, self._node)

    def join(
        self, *seeds: str, replay: bool | None = None, timeout: float | None = None
    ) -> JoinReport:
        return self._wait(self._serf.join, *seeds, replay=replay, timeout=timeout)

    # Looking.

    @property
    def config(self) -> NodeConfig:
        return self._serf.config

    @property
    def tags(self) -> dict[str, str]:
        return self._serf.tags

    @property
    def keys(self) -> PoolKeys:
        return PoolKeys(self, self._serf.keys)

    def coordinate(self, name: str | None = None) -> Coordinate | None:
        return self._serf.coordinate(name)

    def distance(self, name: str, other: str | None = None) -> float | None:
        return self._serf.distance(name, other)

    # Talking.

    def send_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> int:
        return self._serf.send_event(name, payload, coalesce=coalesce)

    def query(
        self,
        name: str,
        payload: bytes = b"",
        *,
        nodes: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
    ) -> Query:
        def ask() -> tuple[queries.Query, Pipe[QueryAck | QueryResponse]]:
            source = self._serf.query(
                name,
                payload,
                nodes=nodes,
                tags=tags,
                ack=ack,
                relay_factor=relay_factor,
                timeout=timeout,
            )
            return source, self._piped(source, "an answer")

        return Query(self, *self._portal.here(ask))

    def set_tags(self, tags: Mapping[str, str], *, timeout: float | None = None) -> None:
        self._wait(self._serf.set_tags, tags, timeout=timeout)

    def force_leave(self, name: str, *, prune: bool = False, timeout: float | None = None) -> None:
        self._wait(self._serf.force_leave, name, prune=prune, timeout=timeout)

    # What is said about these is different here.

    def send(
        self, name: str, payload: bytes, *, reliable: bool = False, timeout: float | None = None
    ) -> None:
        super().send(name, payload, reliable=reliable, timeout=timeout)

    def broadcast(self, payload: bytes, *, name: str = "") -> None:
        super().broadcast(payload, name=name)

    @property
    def broadcast_limit(self) -> int:
        return super().broadcast_limit

    def update_meta(self, meta: bytes, *, timeout: float | None = None) -> None:
        super().update_meta(meta, timeout=timeout)

    def set_local_state(self, state: bytes) -> None:
        super().set_local_state(state)

    def set_ack_payload(self, payload: bytes | None) -> None:
        super().set_ack_payload(payload)
