"""`Memberlist`: a node of a memberlist pool, for asyncio. Checks arguments; the driver does it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack, get_args, overload

from gossip import _aead, _checks
from gossip._checks import checked_name, checked_payload, value_errors
from gossip._io.driver import Driver
from gossip._io.joining import Joiner, JoinerParts
from gossip._io.keys import find_keys
from gossip._io.requests import within
from gossip._io.serf import SerfLayer
from gossip._io.subscriptions import Hub, Subscription
from gossip._io.thread import ThreadDriver
from gossip._translate import STATES, packed
from gossip._udp import interface_addresses
from gossip.config import AcceptMember, Config, Tuning
from gossip.errors import ArgumentError, ConfigError, GossipError, StateError
from gossip.events import Event, MembersSnapshot
from gossip.keyring import Keyring
from gossip.members import Address, Member, encode_name
from gossip.reports import JoinReport, Stats

_log = logging.getLogger("gossip")

E = TypeVar("E", bound=Event)

MakeDriver: TypeAlias = Callable[
    [str, Config, Keyring, _aead.Backend, Hub, SerfLayer | None], Driver
]


class Memberlist:
    """A node of a pool that speaks memberlist's wire.

        async with gossip.Memberlist("web-1", seeds=["10.0.0.5"], key_file="/etc/gossip.key",
                                     bind="10.0.0.7:7946") as node:
            async for event in node.events():
                ...

    The node lives from the entry of the block to its end, where it leaves the pool and closes,
    also when the block ends by an exception or a cancellation. It belongs to the event loop and
    the process it was started in. Every coroutine takes `timeout` in seconds; None leaves it to
    the protocol's own limits.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        seeds: Sequence[str] = (),
        key: bytes | str | None = None,
        key_file: str | PurePath | None = None,
        bind: str = "127.0.0.1:7946",
        advertise: str | None = None,
        label: str = "",
        meta: bytes = b"",
        plaintext: bool = False,
        accept_member: AcceptMember | None = None,
        retry_join: float = 5.0,
        **tuning: Unpack[Tuning],
    ) -> None:
        """Checks everything that can be checked without the network; raises ConfigError.

        The arguments are the fields of `Config`.
        """
        self._setup(
            Config(
                name=name,
                seeds=seeds,
                key=key,
                key_file=key_file,
                bind=bind,
                advertise=advertise,
                label=label,
                meta=meta,
                plaintext=plaintext,
                accept_member=accept_member,
                retry_join=retry_join,
                **tuning,
            )
        )

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A node as a `Config` says, for example `Config.wan(...)`."""
        node = cls.__new__(cls)
        node._setup(config)
        return node

    def _setup(self, config: Config) -> None:
        if config.name is None:
            config = replace(config, name=socket.gethostname())
        self._config = config
        self._keyring = Keyring(find_keys(config, os.environ))
        try:
            self._aead = _aead.choose(config.aead)
        except _aead.UnusableError as error:
            raise ConfigError({"aead": str(error)}) from None
        self._hub = Hub(lambda: MembersSnapshot(()), config.event_buffer)
        self._make_driver: MakeDriver = ThreadDriver if config.driver == "thread" else Driver
        self._driver: Driver | None = None
        self._joiner: Joiner | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._calling: asyncio.Task[None] | None = None
        self._left = False

    # Life.

    async def start(self) -> Self:
        """Opens the sockets and joins the seeds, as entering `async with` does.

        Raises BindError or ConfigError when there is no socket or no address; JoinError when no
        seed is reached and `retry_join` is 0. What raises leaves nothing behind.
        """
        if self._driver is not None:
            raise StateError("a node can be started once; make another one")
        self._driver = self._make_driver(
            self.name, self._config, self._keyring, self._aead, self._hub, self._layer()
        )
        self._joiner = self._make_joiner(self._driver)
        try:
            await self._driver.start()
            self._keyring.listen(self._driver.keys_changed)
            _log.info("%s: started at %s", self.name, self._driver.address)
            await self._first_join(self._joiner)
            self._start_calling(self._joiner, self._driver)
        except BaseException:
            await self.close()
            raise
        return self

    def _layer(self) -> SerfLayer | None:
        """What lies above the core: nothing, for a memberlist."""
        return None

    def _make_joiner(self, driver: Driver) -> Joiner:
        return Joiner(*self._joining(driver))

    def _joining(self, driver: Driver) -> JoinerParts:
        own, named = self._own_addresses(driver), self._config.require_node_names
        return self.name, driver.address.port, own, named, self._call_seed

    async def _first_join(self, joiner: Joiner) -> None:
        seeds, interval = self._config.seeds, self._config.retry_join
        if not seeds:
            return
        if not interval:
            await joiner.join(seeds, None)
            return
        report = await joiner.attempt(seeds, None)
        if report.reached:
            return
        if report.failed:
            text = "%s: starts alone, and tries its seeds again every %g s:\n%s"
            _log.warning(text, self.name, interval, report)
        self._retrying = asyncio.create_task(joiner.keep_trying(seeds, interval))

    def _start_calling(self, joiner: Joiner, driver: Driver) -> None:
        seeds, interval = self._config.seeds, self._config.heal_interval
        if seeds and interval:
            calls = joiner.keep_calling(seeds, interval, self._config.heal_time, driver)
            self._calling = asyncio.create_task(calls)

    async def close(self) -> None:
        """Stops at once, without leaving: to the others this node fails. Idempotent."""
        driver = self._driver
        if driver is None:
            return
        driver.check_process()
        tasks = [task for task in (self._retrying, self._calling) if task is not None]
        for task in tasks:
            task.cancel()
        try:
            await driver.close()
        finally:
            if tasks:
                await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._driver is not None and not self._driver.closed:
                await self.leave(timeout=self._config.leave_timeout)
        except GossipError as failure:
            if kind is None and isinstance(failure, StateError):
                raise
            _log.warning("%s: closes before its leave has spread: %s", self.name, failure)
        finally:
            await self.close()

    async def leave(self, *, timeout: float | None = None) -> None:
        """Says goodbye, and waits until that was spread. The node answers until it is closed.

        Raises TimeoutExpired when it was not spread in time; it is on its way all the same.
        """
        driver = self._running_here()
        if self._left:
            return
        self._stop_retrying()
        if self._calling is not None:
            self._calling.cancel()
        driver.leaving = True
        try:
            await within(timeout, driver.ask(driver.leave), "the leave")
        finally:
            driver.leaving = False
            self._left = True

    async def join(self, *seeds: str, timeout: float | None = None) -> JoinReport:
        """Exchanges state with every address of every seed, `[nodename/]host[:port]`.

        Gives what came of each. Raises JoinError, with the same report, when none was reached.
        """
        self._running_here()
        assert self._joiner is not None
        return await self._join(self._joiner, seeds, timeout)

    async def _join(
        self, joiner: Joiner, seeds: Sequence[str], timeout: float | None
    ) -> JoinReport:
        if not seeds:
            raise ArgumentError("join needs at least one seed, as host:port")
        for seed in seeds:
            if not isinstance(seed, str):
                raise ArgumentError(f"a seed is a text like host:port, not {seed!r}")
        report = await joiner.join(seeds, timeout)
        if report.reached:
            self._stop_retrying()
        return report

    async def _call_seed(self, address: Address, node_name: bytes) -> None:
        driver = self._running_here()
        ip, port, core = packed(address), address.port, driver.core
        await driver.ask(lambda now: core.join(ip, port, node_name, now))

    def _stop_retrying(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()

    # Looking.

    @property
    def name(self) -> str:
        assert self._config.name is not None
        return self._config.name

    @property
    def config(self) -> Config:
        """As given, with the name settled."""
        return self._config

    @property
    def keyring(self) -> Keyring:
        """The keys; changes take effect at once."""
        return self._keyring

    @property
    def address(self) -> Address:
        """The address that others use to reach this node."""
        return self._running().address

    def members(self) -> list[Member]:
        """All members that are known, this node included, in no particular order.

        Makes an object for each at once: with 100,000 members the loop waits for that.
        """
        return self._running().members()

    def member(self, name: str) -> Member | None:
        """The member of that name; None when there is none."""
        driver = self._running()
        return driver.member(checked_name(name))

    @property
    def local_member(self) -> Member:
        """This node as it sees itself."""
        member = self._running().member(self.name)
        if member is None:
            raise StateError(f"node {self.name} has no row of its own: its address is not allowed")
        return member

    @property
    def health_score(self) -> int:
        """0 is healthy; higher when this node is slow or badly connected (protocol §17)."""
        return self._running().core.health_score

    def stats(self) -> Stats:
        """Counters since the start, and a few present values."""
        driver = self._running()
        core, udp = driver.core.stats(), driver.packet_stats()
        members = {str(status): core.pop(f"members_{status}") for status in STATES}
        prefix = "dropped_"
        return Stats(
            members=MappingProxyType(members),
            health_score=driver.core.health_score,
            aead=self._aead.name if self._keyring.primary is not None else None,
            encrypted=self._keyring.primary is not None and self._config.gossip_verify_outgoing,
            packets_received=udp["packets_received"],
            packets_sent=udp["packets_sent"],
            bytes_received=udp["bytes_received"],
            bytes_sent=udp["bytes_sent"],
            dropped=MappingProxyType(
                {
                    key.removeprefix(prefix): count
                    for key, count in core.items()
                    if key.startswith(prefix)
                }
            ),
            send_errors=MappingProxyType(
                {
                    errno.errorcode.get(code, str(code)): count
                    for code, count in udp["send_errors"].items()
                }
            ),
            receive_errors=udp["receive_errors"],
            packets_lost_in_kernel=driver.sockets.lost_in_kernel(),
            receive_buffer=driver.sockets.receive_buffer(),
            log_lines_suppressed=driver.reporter.suppressed,
            streams_cut_off=driver.streams_cut_off,
            seed_calls=self._joiner.calls if self._joiner is not None else 0,
            loop_lag_seconds=driver.pulse.lag(),
            app_stalls=driver.app_stalls,
            core=MappingProxyType(
                {key: count for key, count in core.items() if not key.startswith(prefix)}
            ),
            serf=MappingProxyType(driver.serf_stats()),
        )

    @overload
    def events(self) -> Subscription[Event]: ...
    @overload
    def events(self, *types: type[E]) -> Subscription[E]: ...
    def events(self, *types: type[Any]) -> Subscription[Any]:
        """Events from this moment on, of the given types or of all; see `Subscription`.

        The first item is a snapshot of the members as they are now: of none when the node is not
        started yet, and all joins follow. The protocol never waits for whoever reads this.
        """
        for kind in types:
            if kind not in get_args(Event):
                raise ArgumentError(f"events are asked for by their types, not by {kind!r}")
        if self._driver is not None:
            self._running()
        return self._hub.subscribe(types)

    # Talking.

    async def ping(self, name: str, *, timeout: float | None = None) -> float:
        """Pings a member directly over UDP; gives the round trip in seconds.

        Raises TimeoutExpired when no ack came within `probe_timeout`. Changes no one's state.
        """
        driver = self._running_here()
        member, core = encode_name(checked_name(name)), driver.core
        answer = driver.ask(lambda now: core.ping(member, now))
        return await within(timeout, answer, f"the ping of {name}") / 1e9

    async def send(
        self, name: str, payload: bytes, *, reliable: bool = False, timeout: float | None = None
    ) -> None:
        """Sends a message to one member: one datagram, or with `reliable` over TCP.

        Returns when the datagram is handed over to the system, and over TCP when the receiver has
        closed the connection behind it, as it does when it has read the message. Raises
        UnknownMemberError, ArgumentError when the payload is too large, RequestError when TCP
        fails or the receiver says that it cannot read it, TimeoutExpired after `tcp_timeout`.
        """
        driver = self._running_here()
        member, data = encode_name(checked_name(name)), checked_payload(payload)
        core = driver.core
        with value_errors():
            answer = driver.ask(lambda now: core.send(member, data, reliable, now))
        await within(timeout, answer, f"the message to {name}")

    def broadcast(self, payload: bytes, *, name: str = "") -> None:
        """Queues a message that rides on gossip to other members, best effort.

        Unlike a claim about a member it is not passed on by who receives it (memberlist leaves
        that to the application): about `retransmit_mult * log10(members + 1)` packets carry it, to
        members chosen at random, some of them twice. Waiting broadcasts of the same `name` are
        replaced. Raises ArgumentError when the payload is larger than `broadcast_limit`.
        """
        driver, data = self._running(), checked_payload(payload)
        with value_errors():
            driver.put(lambda: driver.core.broadcast(data, encode_name(name)))

    @property
    def broadcast_limit(self) -> int:
        """The largest payload of `broadcast`, in bytes."""
        return self._running().core.broadcast_limit

    async def update_meta(self, meta: bytes, *, timeout: float | None = None) -> None:
        """Changes this node's metadata, and waits until the change was spread.

        Raises TimeoutExpired when it was not spread in time; it is on its way all the same.
        """
        driver = self._running_here()
        problem = _checks.meta_problem(meta)
        if problem is not None:
            raise ArgumentError(f"meta {problem}")
        data, core = bytes(meta), driver.core
        answer = driver.ask(lambda now: core.update_meta(data, now))
        await within(timeout, answer, "the update")

    def set_local_state(self, state: bytes) -> None:
        """The application's state, sent with every push/pull; peers see `StateReceived`."""
        driver, data = self._running(), checked_payload(state)
        with value_errors():
            driver.core.set_local_state(data)

    def set_ack_payload(self, payload: bytes | None) -> None:
        """What acks to direct pings carry; probing peers see it in `PingCompleted`."""
        driver = self._running()
        data = None if payload is None else checked_payload(payload)
        with value_errors():
            driver.core.set_ack_payload(data)

    # Guards.

    def _running(self) -> Driver:
        if self._driver is None:
            raise StateError(f"node {self.name} is not started: enter its block, or call start()")
        self._driver.check()
        return self._driver

    def _running_here(self) -> Driver:
        driver = self._running()
        driver.check_loop()
        return driver

    @staticmethod
    def _own_addresses(driver: Driver) -> frozenset[Address]:
        """Where this node would reach itself: bound to all addresses, at each of the machine."""
        port, bound = driver.address.port, driver.sockets.address
        own = {driver.address, bound}
        if packed(bound).strip(b"\0") == b"":
            own |= {Address.from_bytes(ip, port) for _, ip in interface_addresses()}
        return frozenset(own)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
