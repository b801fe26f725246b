"""A cluster of production cores on a simulated network; invariants are checked after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip._core import Serf, Swim

from . import wire
from .invariants import INCARNATION, META, NAME, STATE, Published, Row, Watch
from .network import Address, Faults, Network
from .settings import MILLISECOND, SECOND, SERF_VERSIONS, lan


class Node:
    """One simulated node: it may be started, stopped in its tracks, killed and started again."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster = cluster
        self.name = f"node-{number}".encode()
        last = bytes((number // 250, number % 250 + 1))
        self.address: Address = (cluster.network_prefix + last, 7946)
        self.meta = b"first"
        self.up = False
        self.frozen = False
        self.lives = 0
        self.clock_error = 0
        self.events: list[tuple[int, Row]] = []
        self._held: list[tuple[bytes, bytes, int]] = []
        self._late: list[Callable[[], None]] = []

    # Life.

    def start(self) -> None:
        cluster = self.cluster
        self.lives += 1
        seed = cluster.network.random.getrandbits(63)
        self.swim = Swim(
            cluster.settings, name=self.name, address=self.address[0], port=self.address[1],
            meta=self.meta, label=cluster.label, seed=seed,
        )  # fmt: skip
        self.serf_layer = Serf(self.swim, cluster.serf) if cluster.serf is not None else None
        if cluster.keys:
            nonces = cluster.network.random.randbytes
            self.swim.set_keys([AESGCM(key) for key in cluster.keys], nonces)
        self.watch = Watch(self.name, cluster.settings, cluster.published)
        self.up, self.frozen = True, False
        self._armed: int | None = None
        self.swim.start(cluster.network.now, self.clock())
        self._pump()

    def clock(self) -> int:
        """Its wall clock in Unix seconds; 0 where the cluster has none."""
        seconds = self.cluster.network.now // SECOND
        return self.cluster.wall + seconds + self.clock_error if self.cluster.wall else 0

    def kill(self) -> None:
        """No word to anyone."""
        self.up = self.frozen = False
        self._held.clear()
        self._late.clear()
        self.cluster.network.drop_streams(self)

    def freeze(self, duration_ns: int) -> None:
        """As SIGSTOP and later SIGCONT: packets wait in the socket, time passes."""
        self.frozen = True
        life = self.lives
        self.cluster.network.later(duration_ns, lambda: self._thaw(life))

    def _thaw(self, life: int) -> None:
        if not self.up or life != self.lives:
            return
        self.frozen = False
        packets, self._held = self._held, []
        late, self._late = self._late, []
        steps: list[Callable[[], None]] = [
            lambda: self.swim.tick(self.now),
            lambda: self.swim.receive(packets, self.now),
        ]
        self.cluster.network.random.shuffle(steps)
        for step in (*steps, *late):
            step()
            self._pump()

    @property
    def serf(self) -> Serf:
        assert self.serf_layer is not None, "this cluster has no Serf layer"
        return self.serf_layer

    def asked(self, result: object) -> None:
        """The driver's tail after a call of the Serf layer, which gave this result."""
        self._pump()

    # What a user of the core calls.

    def join(self, *targets: Node) -> list[int]:
        requests = [self.swim.join(*target.address, target.name, self.now) for target in targets]
        self._pump()
        return requests

    def leave(self) -> int:
        self.watch.leaving = True
        request = self.swim.leave(self.now)
        self._pump()
        return request

    def update(self, meta: bytes) -> int:
        self.meta = meta
        request = self.swim.update_meta(meta, self.now)
        self._pump()
        return request

    def send(self, target: Node, payload: bytes, reliable: bool) -> int:
        request = self.swim.send(target.name, payload, reliable, self.now)
        self._pump()
        return request

    def broadcast(self, payload: bytes) -> None:
        self.swim.broadcast(payload)
        self._pump()

    # What the network calls.

    def deliver(self, data: bytes, source: Address) -> None:
        if self.frozen:
            self._held.append((data, *source))
            return
        self.swim.receive([(data, *source)], self.now)
        self._pump()

    def accept(self, source: Address) -> int:
        number = self.swim.accept_stream(*source, self.now)
        self._pump()
        return number

    def opened(self, number: int) -> None:
        self._now_or_late(lambda: self.swim.stream_opened(number, self.now))

    def received(self, number: int, data: bytes) -> None:
        self._now_or_late(lambda: self.swim.stream_received(number, data, self.now))

    def ended(self, number: int) -> None:
        self._now_or_late(lambda: self.swim.stream_ended(number, self.now))

    def failed(self, number: int, text: str) -> None:
        self._now_or_late(lambda: self.swim.stream_failed(number, text, self.now))

    def _now_or_late(self, action: Callable[[], None]) -> None:
        if self.frozen:
            self._late.append(action)
        else:
            action()
            self._pump()

    # The driver's tail after every entry.

    @property
    def now(self) -> int:
        return self.cluster.network.now

    def _pump(self) -> None:
        network = self.cluster.network
        for data, address, port in self.swim.transmits():
            self.watch.packet(data)
            network.send(self, data, (address, port))
        for command in self.swim.commands():
            self._obey(command)
        events = self.swim.events()
        self.events += [(self.now, event) for event in events]
        self.watch.step(self.swim, events, self.now)
        self._arm()

    def _obey(self, command: tuple[Any, ...]) -> None:
        network = self.cluster.network
        if command[0] == "open":
            network.dial(self, command[1], (command[2], command[3]))
        elif command[0] == "write":
            network.write(self, command[1], command[2])
        else:
            network.close(self, command[1])

    def _arm(self) -> None:
        deadline = self.swim.next_deadline()
        if deadline is None or deadline[0] == self._armed:
            return
        at = self._armed = deadline[0]
        life = self.lives
        self.cluster.network.later(at - self.now, lambda: self._tick(at, life))

    def _tick(self, at: int, life: int) -> None:
        if not self.up or life != self.lives or at != self._armed:
            return
        self._armed = None
        if not self.frozen:
            self.swim.tick(self.now)
            self._pump()

    # What it sees.

    def rows(self) -> dict[bytes, Row]:
        return self.watch.rows

    def state_of(self, other: Node) -> str:
        row = self.rows().get(other.name)
        return "unknown" if row is None else wire.STATE_NAMES[row[STATE]]

    def seen(self, kind: str, other: Node | None = None) -> list[int]:
        """When events of a kind came, about one node or about all."""
        return [
            at
            for at, event in self.events
            if event[0] == kind and (other is None or event[1][NAME] == other.name)
        ]


class Cluster:
    """Nodes on one network; everything random follows from the seed."""

    def __init__(
        self,
        size: int,
        seed: int,
        *,
        faults: Faults | None = None,
        keys: Iterable[bytes] = (),
        label: bytes = b"",
        ipv6: bool = False,
        wall: int = 0,
        serf: Mapping[str, int] | None = None,
        **changes: int,
    ) -> None:
        self.network = Network(seed, faults or Faults())
        self.settings = lan(**(changes if serf is None else SERF_VERSIONS | changes))
        self.serf = serf
        self.keys, self.label = tuple(keys), label
        self.wall = wall
        self.network_prefix = bytes.fromhex("fd00") + bytes(12) if ipv6 else bytes((10, 0))
        self.published = Published()
        self.nodes = [Node(self, number) for number in range(size)]
        for node in self.nodes:
            self.network.hosts[node.address] = node

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.up]

    def start(self) -> None:
        """All start within a second, and all but the first join the first."""
        first, *others = self.nodes

        def start_and_join(node: Node) -> None:
            node.start()
            node.join(first)

        first.start()
        for node in others:
            delay = self.network.random.randint(1, 1000) * MILLISECOND
            self.network.later(delay, partial(start_and_join, node))
        self.run(SECOND + SECOND // 2)

    def run(self, duration_ns: int) -> None:
        end = self.network.now + duration_ns
        while self.network.step(end):
            pass

    def run_until(self, condition: Callable[[], bool], limit_ns: int) -> int:
        """Run until the condition holds; returns the time it took, fails after the limit."""
        start = self.network.now
        while not condition():
            busy = self.network.step(start + limit_ns)
            assert busy or condition(), f"not so within {limit_ns / SECOND:g} s: {self.views()}"
        return self.network.now - start

    def converged(self) -> bool:
        """The living agree: all of them alive, at the same incarnations, and nobody else."""
        living = {node.name for node in self.living}
        views = [self._view(node) for node in self.living]
        return all(view == views[0] and view.keys() == living for view in views)

    def _view(self, node: Node) -> dict[bytes, tuple[int, bytes]]:
        alive = (row for row in node.rows().values() if row[STATE] == wire.STATE_ALIVE)
        return {row[NAME]: (row[INCARNATION], row[META]) for row in alive}

    def views(self) -> dict[str, dict[str, str]]:
        """Who holds whom in which state, for a failure's message."""
        return {
            node.name.decode(): {other.name.decode(): node.state_of(other) for other in self.nodes}
            for node in self.living
        }

    def false_alarms(self) -> list[tuple[int, Row]]:
        """Every suspicion or failure any node told of."""
        return [
            (at, event)
            for node in self.nodes
            for at, event in node.events
            if event[0] in ("suspected", "failed")
        ]
