"""The snapshot file: what a node knew when it ended, one record a line (Serf §16).

Pure: `replay` reads the bytes of a file; a `Snapshot` is told what happens and says what is to be
written. Writing itself is the driver's, which tells how it went. After a failed write the file is
written anew as a whole when there is a chance again, so that half a line is never built upon.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gossip._serf import bounds
from gossip.members import Address, decode_name, encode_name

FLUSH_SECONDS = 0.5
RETRY_SECONDS = 5.0
"""How long after a failed write the next one is tried."""

COMPACT_BYTES_MIN = 128 * 1024
COMPACT_BYTES_A_MEMBER = 256

_CLOCK_MAX = (1 << 64) - 2


@dataclass(slots=True)
class Replayed:
    """What a snapshot file says: who was alive, and the last Lamport times seen.

    skipped: lines that could not be read. known: lines that could. torn: it ends within a line.
    """

    alive: dict[str, Address] = field(default_factory=dict)
    clock: int = 0
    event_clock: int = 0
    query_clock: int = 0
    skipped: int = 0
    known: int = 0
    torn: bool = False

    @property
    def foreign(self) -> bool:
        """Whether this is no snapshot at all: there are lines, and none of them is a record."""
        return self.skipped > 0 and self.known == 0


def replay(data: bytes, *, rejoin_after_leave: bool) -> Replayed:
    """Reads a whole file. A last line without its end is ignored."""
    found = Replayed()
    *lines, rest = data.split(b"\n")
    found.torn = bool(rest)
    for line in lines:
        if _replay_line(found, line, rejoin_after_leave):
            found.known += 1
        else:
            found.skipped += 1
    return found


def _replay_line(found: Replayed, line: bytes, rejoin_after_leave: bool) -> bool:
    kind, _, rest = line.partition(b": ")
    if kind == b"alive":
        name, space, address = rest.rpartition(b" ")
        parsed = _address(address)
        if not space or parsed is None:
            return False
        found.alive[decode_name(name)] = parsed
    elif kind == b"not-alive":
        found.alive.pop(decode_name(rest), None)
    elif kind in (b"clock", b"event-clock", b"query-clock"):
        if not rest.isdigit() or len(rest) > 20 or int(rest) > _CLOCK_MAX:
            return False
        setattr(found, kind.decode().replace("-", "_"), int(rest))
    elif line == b"leave":
        if not rejoin_after_leave:
            found.alive.clear()
            found.clock = found.event_clock = found.query_clock = 0
    else:
        return kind == b"coordinate" or line.startswith(b"#")
    return True


def _address(text: bytes) -> Address | None:
    try:
        return Address.parse(text.decode("ascii"))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Write:
    """What the driver is to do: append `data`, or put it in the place of the file.

    sync: only return when the disk has it; a file that is replaced always is.
    """

    data: bytes
    replace: bool = False
    sync: bool = False


class Snapshot:
    """Follows a node, and says what its snapshot file must get.

    `take` gives at most one write at a time; `done` must follow with its outcome. Times are
    seconds of any clock that does not go back.
    """

    def __init__(self, before: Replayed, size: int, *, rejoin_after_leave: bool) -> None:
        self._alive = dict(before.alive)
        self._clocks = {
            "clock": before.clock,
            "event-clock": before.event_clock,
            "query-clock": before.query_clock,
        }
        self._rejoin_after_leave = rejoin_after_leave
        self._lines: list[bytes] = []
        self._waiting = 0
        self._size = size
        self._compacted = 0
        self._renew = before.torn
        self._sync = False
        self._left = False
        self._under_way: Write | None = None
        self._next: float | None = None

    def joined(self, name: str, address: Address) -> None:
        if self._left or "\n" in name:
            return
        self._alive[name] = address
        self._line(f"alive: {name} {address}")

    def gone(self, name: str) -> None:
        if self._left or "\n" in name:
            return
        self._alive.pop(name, None)
        self._line(f"not-alive: {name}")

    def seen(self, which: str, ltime: int) -> None:
        """A Lamport time of "clock", "event-clock" or "query-clock"; only what grew is written."""
        if ltime > self._clocks[which] and not (self._left and which != "clock"):
            self._clocks[which] = ltime
            self._line(f"{which}: {ltime}")

    def leave(self) -> None:
        """A graceful leave begins: nothing but the clock is recorded from now on."""
        if self._left:
            return
        self._left = True
        if not self._rejoin_after_leave:
            self._alive.clear()
        self._line("leave")
        self._sync = True

    def _line(self, line: str) -> None:
        data = encode_name(line) + b"\n"
        self._lines.append(data)
        self._waiting += len(data)
        self._size += len(data)
        limit = max(
            len(self._alive) * COMPACT_BYTES_A_MEMBER, COMPACT_BYTES_MIN, 2 * self._compacted
        )
        if self._size > limit or self._waiting > bounds.SNAPSHOT_BUFFER_BYTES:
            self._compact()

    def _compact(self) -> None:
        """All lines that wait are in the state that will be written instead of them."""
        self._renew = True
        self._lines.clear()
        self._waiting = self._size = 0

    @property
    def waiting(self) -> bool:
        """Whether something is not on its way to the disk yet."""
        return bool(self._lines) or self._renew

    def take(self, now: float, *, at_once: bool = False) -> Write | None:
        """The next write, when it is time for one, or `at_once`."""
        if self._under_way is not None or not self.waiting:
            return None
        if self._next is not None and now < self._next and not (at_once or self._sync):
            return None
        if self._renew:
            write = Write(self._whole(), replace=True)
            self._size = self._compacted = len(write.data)
        else:
            write = Write(b"".join(self._lines), sync=self._sync)
        self._renew = self._sync = False
        self._lines.clear()
        self._waiting = 0
        self._under_way = write
        self._next = now + FLUSH_SECONDS
        return write

    def done(self, now: float, *, failed: bool = False) -> None:
        """The write is over. After a failure all is written anew, a while later."""
        self._under_way = None
        if failed:
            self._compact()
            self._next = now + RETRY_SECONDS

    def _whole(self) -> bytes:
        lines = [f"alive: {name} {address}" for name, address in self._alive.items()]
        lines += [f"{which}: {ltime}" for which, ltime in self._clocks.items()]
        if self._left:
            lines.append("leave")
            lines.append(f"clock: {self._clocks['clock']}")
        return b"".join(encode_name(line) + b"\n" for line in lines)
