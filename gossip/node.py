"""`Node`: a member of a Serf pool, for asyncio. Checks arguments; the driver does it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Unpack

from gossip._checks import checked_name, checked_payload, value_errors
from gossip._io.driver import Driver
from gossip._io.joining import Joiner
from gossip._io.pool_keys import PoolKeys
from gossip._io.queries import Query
from gossip._io.requests import within
from gossip._io.serf import SerfLayer
from gossip._io.serf_joining import SerfJoiner
from gossip._serf.calls import QueryCall, checked_query
from gossip._serf.coordinates import Coordinate
from gossip._serf.layer import MESSAGE
from gossip.config import AcceptMember, Config
from gossip.errors import ArgumentError, StateError
from gossip.memberlist import Memberlist
from gossip.members import encode_name
from gossip.node_config import NodeConfig, NodeTuning
from gossip.reports import JoinReport


class Node(Memberlist):
    """A node of a Serf pool: everything of `Memberlist`, and tags, user events and queries.

        async with gossip.Node("web-1", seeds=["10.0.0.5"], tags={"role": "web"},
                               key_file="/etc/gossip.key", bind="10.0.0.7:7946") as node:
            node.send_event("cache-refresh", b"user:7")
            async for answer in node.query("uptime", tags={"role": "web"}):
                ...

    The other members may be Python processes, or Go ones: `serf agent`, Consul, programs with
    Serf's library. What of a `Memberlist` belongs to Serf here, metadata, local state and ack
    payloads, cannot be set.
    """

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

        The arguments are the fields of `NodeConfig`.
        """
        self._setup(
            NodeConfig(
                name=name,
                seeds=seeds,
                tags={} if tags is None else tags,
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

    def _setup(self, config: Config) -> None:
        if not isinstance(config, NodeConfig):
            raise ArgumentError(f"a Node needs a NodeConfig, not a {type(config).__name__}")
        super()._setup(config)
        self._serf = SerfLayer(self.name, self.config, int.from_bytes(os.urandom(8), "little"))
        self._keys = PoolKeys(self._ask_keys)

    def _layer(self) -> SerfLayer:
        return self._serf

    def _make_joiner(self, driver: Driver) -> Joiner:
        return self._joiner_for(driver, self.config.replay_on_join)

    def _joiner_for(self, driver: Driver, replay: bool) -> Joiner:
        return SerfJoiner(*self._joining(driver), serf=self._serf, replay=replay)

    async def join(
        self, *seeds: str, replay: bool | None = None, timeout: float | None = None
    ) -> JoinReport:
        """As `Memberlist.join`. replay: take user events in that were sent before; None leaves it
        to `replay_on_join`."""
        driver = self._running_here()
        wanted = self.config.replay_on_join if replay is None else replay
        return await self._join(self._joiner_for(driver, wanted), seeds, timeout)

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            vote = self._serf.voting
            if vote is not None and vote is not asyncio.current_task():
                await asyncio.wait([vote])

    # Looking.

    @property
    def config(self) -> NodeConfig:
        """As given, with the name settled."""
        assert isinstance(self._config, NodeConfig)
        return self._config

    @property
    def tags(self) -> dict[str, str]:
        """This node's tags as they are now."""
        return dict(self._serf.tags)

    @property
    def keys(self) -> PoolKeys:
        """The keys of the whole pool: install, use, remove, list."""
        return self._keys

    def coordinate(self, name: str | None = None) -> Coordinate | None:
        """Where this node is in the network, or where a member said it is when it was probed last.

        None for a member that was not probed yet, or says nothing about it.
        """
        self._running()
        return self._serf.coordinate(self.name if name is None else checked_name(name))

    def distance(self, name: str, other: str | None = None) -> float | None:
        """The round trip to be expected between a member and this node, or `other`, in seconds.

        None when the coordinate of one is not known.
        """
        self._running()
        there = self.name if other is None else checked_name(other)
        return self._serf.distance(checked_name(name), there)

    # Talking.

    def send_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> int:
        """Tells all members something, this node included: a `UserEvent` for each; gives its
        Lamport time.

        Every member passes it on, so that all get it that are reached by gossip while it spreads.
        coalesce: a newer event of this name may take its place. Raises ArgumentError when name
        and payload are longer than `user_event_size_limit` together.
        """
        driver, data = self._running(), checked_payload(payload)
        with value_errors():
            return driver.put(lambda: self._serf.send_event(name, data, coalesce))

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
        """Asks members something; gives the answers as they come, see `Query`.

        nodes: only these. tags: only members of whose tags each given pattern is found in the
        value (RE2's language; `^` and `$` tie it to the ends). ack: have every member that gets
        it say so. relay_factor: let so many members pass each answer on as well. timeout: until
        when answers count, in seconds; None for Serf's formula. The query `_serf_ping`, with ack,
        only tests who can be reached.

        Raises ArgumentError when the query is longer than `query_size_limit`, StateError when too
        many queries are under way.
        """
        version = self.config.delegate_protocol_version
        self._running()
        call = checked_query(name, payload, nodes, tags, ack, relay_factor, timeout, version)
        with value_errors():
            return self._serf.ask(call)

    def _ask_keys(
        self, name: str, payload: bytes, relay_factor: int, timeout: float | None
    ) -> Query:
        self._running_here()
        with value_errors():
            return self._serf.ask(
                QueryCall(name, payload, relay_factor=relay_factor, timeout=timeout)
            )

    async def set_tags(self, tags: Mapping[str, str], *, timeout: float | None = None) -> None:
        """Gives this node other tags, instead of all it had, and waits until that was spread.

        Raises ArgumentError when they are longer than 512 bytes together, TimeoutExpired when the
        change was not spread in time; it is on its way all the same.
        """
        driver = self._running_here()
        meta, core = self._serf.set_tags(tags), driver.core
        await within(
            timeout, driver.ask(lambda now: core.update_meta(meta, now)), "the change of tags"
        )

    async def force_leave(
        self, name: str, *, prune: bool = False, timeout: float | None = None
    ) -> None:
        """Has a member that failed held for one that left; waits until that was spread.

        One that lives says so, and stays. prune: all members also erase it. An unknown name is no
        error. Raises TimeoutExpired when it was not spread within `broadcast_timeout`.
        """
        driver, member = self._running_here(), encode_name(checked_name(name))
        answer = driver.ask(lambda now: self._serf.serf.force_leave(member, prune, now))
        await within(timeout, answer, f"the removal of {name}")

    async def send(
        self, name: str, payload: bytes, *, reliable: bool = False, timeout: float | None = None
    ) -> None:
        """As `Memberlist.send`, to a `Node`: Go members have no use for such messages."""
        await super().send(
            name, MESSAGE + checked_payload(payload), reliable=reliable, timeout=timeout
        )

    def broadcast(self, payload: bytes, *, name: str = "") -> None:
        """As `Memberlist.broadcast`, to the `Node`s of the pool; see `send_event` for all."""
        super().broadcast(MESSAGE + checked_payload(payload), name=name)

    @property
    def broadcast_limit(self) -> int:
        """The largest payload of `broadcast`, in bytes."""
        return super().broadcast_limit - len(MESSAGE)

    # What belongs to Serf.

    async def update_meta(self, meta: bytes, *, timeout: float | None = None) -> None:
        """Not for a Node: raises StateError."""
        raise StateError("the metadata of a Node are its tags: use set_tags")

    def set_local_state(self, state: bytes) -> None:
        """Not for a Node: raises StateError."""
        raise StateError("the state that Nodes exchange is Serf's: use send_event")

    def set_ack_payload(self, payload: bytes | None) -> None:
        """Not for a Node: raises StateError."""
        raise StateError("the ack payload of a Node is its coordinate")
