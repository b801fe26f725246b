"""The typed face of `_sim.pyx`. All times are ns; nodes and their numbers are the engine's own."""

from typing import Final, Self, final

from gossip._core import Identities, Scratch, Swim

PORT: Final[int]
EPOCH_NS: Final[int]
TOLD_NAMES: Final[tuple[str, ...]]
STATE_NAMES: Final[tuple[str, ...]]
COUNTER_NAMES: Final[tuple[str, ...]]
VIOLATIONS: Final[tuple[str, ...]]

@final
class Engine:
    """One simulation of at most so many nodes, from one seed. The same calls give the same trace.

    A core that takes part is made with the engine's `identities` and `scratch`; whoever calls it
    directly calls `touch` after.
    """

    def __new__(cls, seed: int, capacity: int) -> Self: ...
    @property
    def scratch(self) -> Scratch: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def now(self) -> int: ...
    @property
    def streams(self) -> int:
        """How many streams are not over: open at an end, or with something on its way."""

    @property
    def trace(self) -> str:
        """The hash of all that arrived and was told so far, in order."""

    @property
    def violation(self) -> tuple[str, int, int, int, tuple[str, int], tuple[str, int]] | None:
        """The first rule that was broken: (what, ns, node, about which node, (state, incarnation)
        before, (state, incarnation) now)."""

    def new_address(self, ipv6: bool = False) -> bytes:
        """An address that nobody has, of 4 bytes, or 16; the port is always `PORT`."""

    def add(self) -> int:
        """One more node, which runs nothing yet."""

    def start(self, number: int, swim: Swim, address: bytes, clock: int = 0) -> None:
        """Runs a fresh core at an address; again after `crash`, at the same one or another.
        `clock` is that of `Swim.start`."""

    def introduce_all(self) -> None:
        """Has all that run hold each other as if they had always been there, for pools too large to
        find together by themselves. ValueError when checks are on."""

    def crash(self, number: int) -> None:
        """The process is gone without a word; its system resets its streams."""

    def touch(self, number: int, leaving: bool = False) -> None: ...
    def watch(self, number: int, watched: bool) -> None:
        """Whether a node's events are left in its core; `run` then stops for them."""

    def waiting(self) -> list[int]:
        """The watched nodes whose events are to be taken, by their numbers."""

    def note(self, number: int, text: bytes) -> None:
        """Has the trace cover what a node's user was told."""

    def paused_until(self, number: int) -> int:
        """When a frozen node runs again; the present when it is not frozen."""

    def pause(self, number: int, duration_ns: int, how: str = "frozen") -> None:
        """For so long: "frozen": nothing runs; "blocked": sends and receives stand still, as in
        Lifeguard's experiments, while timers run."""

    def jump(self, number: int, offset_ns: int) -> None:
        """Moves a node's clock, forward or back."""

    def slow(self, number: int, entry_ns: int) -> None:
        """What each packet and each tick takes of a node's only processor."""

    def clock(self, number: int) -> int:
        """A node's own time."""

    def is_up(self, number: int) -> bool: ...
    def network(
        self,
        *,
        loss: float = 0,
        stream_loss: float = -1,
        duplicates: float = 0,
        reordered: float = 0,
        reorder_ns: int = 0,
        replays: float = 0,
        resets: float = 0,
        pieces: bool = False,
        mtu: int = 65536,
        socket_bytes: int = 0,
    ) -> None:
        """Of all links: probabilities, by how much the reordered are late, the largest datagram,
        and what may wait in a socket, each datagram counted with 768 bytes more (0: no bound).
        stream_loss: of segments of streams; below 0: as of datagrams. replays: an old datagram
        comes again within a minute. resets: of a stream, at each write. pieces: what is written to
        streams is cut at random."""

    def delay(
        self, kind: str, low_ns: int, high_ns: int = 0, source: int = -1, target: int = -1
    ) -> None:
        """Between two zones, or between all: "fixed", "uniform" from low to high, "exponential"
        above low with a mean of high."""

    def zone(self, number: int, zone: int) -> None: ...
    def side(self, number: int, side: int) -> None: ...
    def cut(self, source: int, target: int, datagrams: bool = True, streams: bool = True) -> None:
        """What does not pass from one side to another any more."""

    def heal(self) -> None:
        """Nothing is cut any more, and no link is special."""

    def line(self, number: int, *, loss_in: float = 0, loss_out: float = 0, rate: int = 0) -> None:
        """Of one node: what is lost on its way in and out, and bytes a second out (0: no bound)."""

    def link(
        self,
        source: int,
        target: int,
        *,
        loss: float = 0,
        delay_ns: int = 0,
        clog_ns: int = 0,
        datagrams: bool = True,
        streams: bool = True,
    ) -> None:
        """Of one way: its loss, what it takes longer, how long it holds all back, what passes."""

    def run(self, until: int) -> bool:
        """Moves the world until then; False: it stopped before, for a watched node's events or a
        violation."""

    def log(self, *kinds: str) -> None:
        """Which events of nodes that are not watched `take_log` shall give, by `TOLD_NAMES`."""

    def take_log(self) -> list[tuple[int, int, str, int, int]]:
        """(ns, node, kind, about which node, incarnation), oldest first."""

    def rows(self, number: int) -> dict[int, tuple[str, int, int]]:
        """What a node holds: {node: (state, incarnation, ns since)}; itself included."""

    def counts_of(self, number: int) -> tuple[int, int, int, int]:
        """How many rows of each state a node counts, in the order of `STATE_NAMES`."""

    def agreed(self) -> bool:
        """Whether all that are up hold just each other, alive and at their own incarnations, their
        Serf layers too, with their own tags."""

    def counts(self) -> dict[str, int]:
        """What the network carried, what happened, and how often members were told of."""

    def check(self, every: int, forget_ns: int) -> None:
        """Looks at a node at each so many of its entries (0: never); the gone must be remembered
        for that long. To be called before the first start."""
