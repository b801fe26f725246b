"""The asyncio driver: one core, its sockets, one timer, and the pump.

Every way into the core - a packet, the timer, a stream, a call - ends in the same tail: what the
core wants sent is sent, its stream commands are carried out, its events are handed on, and the one
timer is set anew if the next deadline came nearer. No protocol is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gossip._aead import Backend
from gossip._core import Swim
from gossip._io import bounds, forks, signals
from gossip._io.admission import Admission
from gossip._io.closing import close_all
from gossip._io.pulse import Pulse
from gossip._io.rates import Recent
from gossip._io.reporter import Reporter
from gossip._io.requests import Requests
from gossip._io.sockets import Sockets, advertised, open_sockets
from gossip._io.streams import Streams
from gossip._io.subscriptions import Hub
from gossip._translate import MemberRow, event_of, member_of, packed
from gossip._udp import BLOCKED, UNDONE, WAITING, Endpoint
from gossip.config import Config
from gossip.errors import ClosedError, ForkedError, StateError, WrongLoopError
from gossip.events import Event, LoopLagged, MembersSnapshot, NameConflict
from gossip.keyring import Keyring
from gossip.members import Address, Member, Status, encode_name

if TYPE_CHECKING:
    from gossip._io.serf import SerfLayer
    from gossip._udp import EndpointStats

T = TypeVar("T")

_NEVER = (1 << 63) - 1
_MS = 1_000_000


class Driver:
    """Runs one node on the event loop it is started on, and on no other.

    name, config, keyring and aead are settled; `start` opens the sockets and lets the core live.
    hub: where events are published. serf: Serf's layer above the core, which only a `Node` has.
    """

    admission_class: type[Admission] = Admission

    def __init__(
        self,
        name: str,
        config: Config,
        keyring: Keyring,
        aead: Backend,
        hub: Hub,
        serf: SerfLayer | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = name
        self.leaving = False
        self.keyring = keyring
        self._config = config
        self._serf = serf
        self._aead = aead
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._signals_come_here = threading.current_thread() is threading.main_thread()
        self._closed = False
        self.sockets: Sockets = open_sockets(config.bind_address)
        try:
            self.address = advertised(self.sockets.address, config.advertise_address)
            self.core = self._make_core()
        except BaseException:
            self.sockets.close()
            raise
        self.endpoint = Endpoint(self.sockets.udp.fileno(), self.sockets.ipv6, self.core)
        self.hub = hub
        hub.snapshot = self.snapshot
        self.reporter = Reporter(name)
        self.requests = Requests(self.loop)
        self._streams = Streams(self.loop, self.core, self.pump, config.tcp_timeout)
        self._admission = (
            self.admission_class(self.loop, config.accept_member, self._admit)
            if config.accept_member
            else None
        )
        self.pulse = Pulse(self.loop, self._pulse_seconds(), self._on_beat)
        self._conflicts = Recent(bounds.CONFLICT_INTERVAL_SECONDS, bounds.CONFLICTS_REMEMBERED)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_deadline = _NEVER
        self._writing = False
        self._reading_on = False
        self._going_on = False
        self._finishing = False
        if serf is not None:
            self._attach(serf)

    def _attach(self, serf: SerfLayer) -> None:
        try:
            serf.attach(self)
        except BaseException:
            self.sockets.close()
            raise

    def _make_core(self) -> Swim:
        core = Swim(
            self._config.settings(),
            name=encode_name(self.name),
            address=packed(self.address),
            port=self.address.port,
            bind_port=self.sockets.address.port,
            meta=self._config.meta if self._serf is None else self._serf.meta,
            label=self._config.label.encode(),
            cidrs=self._config.networks,
            seed=int.from_bytes(os.urandom(8), "little"),
        )
        self._hand_keys_to(core)
        return core

    def _hand_keys_to(self, core: Swim) -> None:
        core.set_keys([self._aead.cipher(key) for key in self.keyring], self._aead.nonces)

    async def start(self) -> None:
        """Listens, and lets the core live. Whatever it raises, `close` must follow."""
        forks.watch(self)
        await self._streams.listen(self.sockets.tcp)
        self.core.start(time.monotonic_ns(), int(time.time()))
        self._open_packets()
        self.pulse.start()
        if self._serf is not None:
            self._serf.started()
        self.pump()

    async def close(self) -> None:
        """Stops at once and without a word to the peers; the first step already silences it."""
        if self._closed:
            return
        self._closed = True
        await close_all(
            self.endpoint.detach,
            self.pulse.stop,
            self._stop_writing,
            self._close_packets,
            self.hub.close,
            lambda: self.requests.fail_all(
                ClosedError("the node was closed while this call waited")
            ),
            *(() if self._admission is None else (self._admission.close,)),
            *(() if self._serf is None else (self._serf.close,)),
            self._streams.close,
            self.sockets.close,
            self.core.shutdown,
        )

    def _stop_writing(self) -> None:
        if self._writing:
            self.loop.remove_writer(self.sockets.udp.fileno())

    def _open_packets(self) -> None:
        """From now on packets reach the core, and it is called when its deadlines come."""
        self.loop.add_reader(self.sockets.udp.fileno(), self._on_readable)

    def _close_packets(self) -> None:
        self.loop.remove_reader(self.sockets.udp.fileno())
        if self._timer is not None:
            self._timer.cancel()

    # Guards.

    @property
    def closed(self) -> bool:
        return self._closed

    def check_process(self) -> None:
        if self._process != os.getpid():
            raise ForkedError(
                f"node {self.name} runs in process {self._process}; this is a child forked from it:"
                " start a node of its own after the fork"
            )

    def check(self) -> None:
        """Every public call begins here."""
        self.check_process()
        if self._closed:
            raise ClosedError(f"node {self.name} is closed")
        if self._thread != threading.get_ident():
            raise WrongLoopError(
                f"node {self.name} was called from another thread than the one of its event loop: "
                "use asyncio.run_coroutine_threadsafe, or loop.call_soon_threadsafe"
            )
        running = asyncio._get_running_loop()
        if self.loop.is_closed() or (running is not None and running is not self.loop):
            raise WrongLoopError(
                f"node {self.name} was started on another event loop; use it from that one"
            )
        if self._signals_come_here and signals.handling():
            raise StateError(
                f"node {self.name} was called by a signal handler, which may interrupt anything: "
                "use loop.add_signal_handler, whose callback may call the node"
            )

    def check_loop(self) -> None:
        """Every public coroutine begins here."""
        self.check()
        if asyncio._get_running_loop() is None:
            raise WrongLoopError(f"node {self.name} waits on asyncio, and what runs this is not")

    def forked(self) -> None:
        """In a child process: leave the parent's sockets alone, whatever this loop still runs."""
        self._closed = True
        self.pulse.stop()
        self.endpoint.detach()
        self._streams.forked()
        if self._serf is not None:
            self._serf.forked()
        self.core.reset_nonces()

    # Calls.

    def ask(self, request: Callable[[int], int]) -> asyncio.Future[int]:
        """Makes a request of the core; the future is its answer."""
        future = self.requests.begin(request(time.monotonic_ns()))
        self.pump()
        return future

    def tell(self, call: Callable[[], T]) -> T:
        """Calls the core where no answer comes later."""
        result = call()
        self.pump()
        return result

    def put(self, call: Callable[[], T]) -> T:
        """The same where the core only takes something in, to send it later."""
        return self.tell(call)

    def keys_changed(self) -> None:
        """The keyring was changed: from now on the core seals and opens with its present keys."""
        self.check()
        self._hand_keys_to(self.core)
        self.pump()  # what does not fit beside the key any more was dropped, and is told

    def leave(self, now: int) -> int:
        """The request to leave the pool."""
        return self.core.leave(now) if self._serf is None else self._serf.leave(now)

    def members(self) -> list[Member]:
        if self._serf is not None:
            return self._serf.members()
        return [self._seen(member_of(row)) for row in self.core.members()]

    def member(self, name: str) -> Member | None:
        if self._serf is not None:
            return self._serf.member(name)
        row = self.core.member(encode_name(name))
        return None if row is None else self._seen(member_of(row))

    def size(self) -> int:
        """How many members there are, those that failed or left lately included."""
        return self.core.member_count

    async def up_at(self, address: Address) -> bool:
        """Whether a member that is up has that address. A large table takes several turns."""
        ip, at = packed(address), 0
        while True:
            found, at = self.core.up_at(ip, address.port, at)
            if found or not at:
                return found
            await asyncio.sleep(0)

    def packet_stats(self) -> EndpointStats:
        """What went through the UDP socket."""
        return self.endpoint.stats()

    @property
    def streams_cut_off(self) -> int:
        """How many streams ended before their peers had read what was written to them."""
        return self._streams.cut_off

    @property
    def app_stalls(self) -> int:
        """How often the node fell silent because the application's loop stood still."""
        return 0

    def serf_stats(self) -> dict[str, int]:
        """The counters of Serf's layer; empty without one."""
        return {} if self._serf is None else self._serf.stats()

    def snapshot(self) -> MembersSnapshot:
        return MembersSnapshot(tuple(self.members()))

    def _seen(self, member: Member) -> Member:
        """The core has left as soon as it says so; for users that takes until it was spread."""
        if not self.leaving or member.name != self.name:
            return member
        return replace(member, status=Status.LEAVING)

    # The pump.

    def pump(self) -> None:
        """The tail of every call: send, command, publish, set the timer."""
        self._finish(self.endpoint.flush())

    def _on_readable(self) -> None:
        self._finish(self.endpoint.on_readable())

    def _on_timer(self) -> None:
        # Loops may call early, uvloop by up to a millisecond: the core looks at the clock itself.
        self._timer = None
        self._timer_deadline = _NEVER
        self._finish(self.endpoint.tick())

    def _read_on(self) -> None:
        self._reading_on = False
        self._on_readable()

    def _on_writable(self) -> None:
        self._writing = False
        self.loop.remove_writer(self.sockets.udp.fileno())
        self._finish(self.endpoint.flush())

    def _finish(self, flags: int) -> None:
        if self._closed:
            return
        if flags & WAITING and self._finishing:
            self.pump_soon()  # a finaliser, or a handler of the log, calls amid what follows
        elif flags & WAITING:
            self._finishing = True
            try:
                self._tell()
            finally:
                self._finishing = False
        if flags & BLOCKED and not self._writing:
            self._writing = True
            self.loop.add_writer(self.sockets.udp.fileno(), self._on_writable)
        if flags & UNDONE and not self._reading_on:
            self._reading_on = True
            self.loop.call_soon(self._read_on)
        self._wake_in_time()

    def _tell(self) -> None:
        """Carries out commands and hands on events, in the order in which the core gave them."""
        for command in self.core.commands():
            self._streams.command(command)
        for told in self.core.events(bounds.EVENTS_AT_ONCE):
            self._hand_on(told)
        if self.core.waiting:
            self.pump_soon()

    def pump_soon(self) -> None:
        """Pumps in the next turn of the loop: there is more than this one shall hear of."""
        if not self._going_on:
            self._going_on = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._going_on = False
        self._finish(self.endpoint.flush())

    def _wake_in_time(self) -> None:
        """One timer. One that comes too early for a deadline that moved away is left to come."""
        deadline = self.endpoint.next_deadline()
        if deadline >= self._timer_deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_ms = -((time.monotonic_ns() - deadline) // _MS)  # rounded up
        self._timer = self.loop.call_later(max(0, wait_ms) / 1000, self._on_timer)
        self._timer_deadline = deadline

    def _pulse_seconds(self) -> float:
        return bounds.PULSE_SECONDS

    def _on_beat(self, late: float) -> None:
        if 0 < self._config.loop_lag_bound < late and not self._closed:
            self.publish(LoopLagged(late))

    # Events.

    def _hand_on(self, told: tuple[Any, ...]) -> None:
        if self._serf is not None and self._serf.take(told):
            return
        match told:
            case ("done", request, error, value):
                self.requests.settle(request, error, value)
            case ("asked", row):
                if self._admission is not None:
                    self._admission.ask(self._row_of(row))
            case ("lost", count):
                self.hub.lose(count)
            case ("pushed", claimed, own, refused):
                text = "a peer speaks of incarnation %d of this node, which is at %d: %s"
                why = "refused" if refused else "a former run, a wrong clock, or made up"
                self.reporter.write(
                    logging.WARNING, "pushed", time.monotonic(), text, claimed, own, why
                )
            case _:
                self.publish(event_of(told, self._row_of))

    def _row_of(self, row: MemberRow) -> Member:
        """A member as memberlist sees it; with its tags, where it has some."""
        return member_of(row) if self._serf is None else self._serf.member_of(row)

    def publish(self, event: Event) -> None:
        """Logs an event and hands it to the subscriptions."""
        now = time.monotonic()
        if isinstance(event, NameConflict):
            which = (event.existing.name, event.existing.address, event.address)
            if not self._conflicts.first(which, now):
                return
        self.reporter.report(event, now)
        self.hub.publish(event)

    def _admit(self, member: Member, allowed: bool) -> None:
        if self._closed:
            return
        if not allowed:
            now, text = time.monotonic(), "%s, at %s, was not accepted"
            self.reporter.write(logging.WARNING, "refused", now, text, member.name, member.address)
        self.core.admit(encode_name(member.name), allowed, time.monotonic_ns())
        self.pump()
