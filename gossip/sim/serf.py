"""Serf's layer of simulated nodes: `gossip._serf.layer` in virtual time, and what queries give.

The layer is the one that a `gossip.Node` runs. What is not here needs a disk or a log: the
snapshot, the keyring file, and closing a node that lost the vote about its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING

from gossip._serf import keys
from gossip._serf.answers import CHANGES, Answers
from gossip._serf.layer import Layer
from gossip._serf.messages import encode_key_response
from gossip.errors import StateError
from gossip.events import Event
from gossip.keyring import Keyring
from gossip.node_config import NodeConfig
from gossip.reports import QueryAck, QueryResponse

if TYPE_CHECKING:
    from gossip._core import Swim
    from gossip.sim.pool import Pool, Timer


class Query:
    """A query under way in virtual time; an iterator over the answers that came and were not taken.

        query = cluster[0].query("uptime")
        cluster.wait_until(lambda: query.over)
        assert query.responses() == {...}

    deadline: in seconds of the asker's clock. members: how many were asked. over: every member has
    answered or gone, or the deadline has passed. early: it was over before its deadline.
    """

    def __init__(
        self, name: str, ltime: int, deadline: float, members: int, cancel: Callable[[], None]
    ) -> None:
        self.name = name
        self.ltime = ltime
        self.deadline = deadline
        self.members = members
        self.over = False
        self.early = False
        self._cancel = cancel
        self._answers: list[QueryAck | QueryResponse] = []

    def __iter__(self) -> Iterator[QueryAck | QueryResponse]:
        while self._answers:
            yield self._answers.pop(0)

    def responses(self) -> dict[str, bytes]:
        """The responses so far, by node, those not taken before."""
        return {
            each.node: each.payload for each in self._answers if isinstance(each, QueryResponse)
        }

    def acks(self) -> set[str]:
        """The nodes whose acks came so far, those not taken before."""
        return {each.node for each in self._answers if isinstance(each, QueryAck)}

    def close(self) -> None:
        """No more answers are wanted; those that came can still be taken."""
        if not self.over:
            self.over = True
            self._cancel()

    def put(self, answer: QueryAck | QueryResponse) -> None:
        self._answers.append(answer)

    def end(self, early: bool) -> None:
        self.over = True
        self.early = early

    def __repr__(self) -> str:
        return f"<Query {self.name} at {self.ltime}>"


class Queries:
    """The queries of one node under way, by their numbers. None is given up because nobody holds
    it: when that is noticed is not the same in each run."""

    def __init__(self, cancel: Callable[[int], None]) -> None:
        self._cancel = cancel
        self._under_way: dict[int, Query] = {}

    def begin(self, name: str, number: int, ltime: int, deadline: float, members: int) -> Query:
        query = Query(name, ltime, deadline, members, lambda: self._give_up(number))
        self._under_way[number] = query
        return query

    def put(self, number: int, answer: QueryAck | QueryResponse) -> None:
        if number in self._under_way:
            self._under_way[number].put(answer)

    def end(self, number: int, *, early: bool) -> None:
        query = self._under_way.pop(number, None)
        if query is not None:
            query.end(early)

    def end_all(self) -> None:
        for number in list(self._under_way):
            self.end(number, early=False)

    def _give_up(self, number: int) -> None:
        del self._under_way[number]
        self._cancel(number)


class SimulatedLayer(Layer[Query]):
    """Serf's layer of one process of a simulated node, from its start to its end.

    warnings: what a node would have logged.
    """

    def __init__(
        self, pool: Pool, number: int, name: str, config: NodeConfig, ring: Keyring, seed: int
    ) -> None:
        self._asked = Queries(lambda query: self.serf.cancel_query(query))
        super().__init__(name, config, seed, self._asked)
        self.warnings: list[str] = []
        self._pool = pool
        self._number = number
        self._ring = ring
        self._ended = False

    def attach(self, core: Swim) -> None:
        """The core is made and does not run yet."""
        self.attach_core(core, self)
        limit = self.config.query_response_size_limit
        self._answers = Answers(self.name, self.serf, self._ring, limit)

    def end(self) -> None:
        """The process is gone."""
        self._ended = True
        self._asked.end_all()

    # The clock of the coalescers.

    def seconds(self) -> float:
        return self._pool.engine.now / 1e9

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        def ring() -> None:
            waits = self._pool.engine.paused_until(self._number) - self._pool.engine.now
            if self._ended:
                return
            if waits > 0:
                self._pool.call_later(waits, ring)
            else:
                callback()

        # Rounded up, so that by then it is what it was to wait for.
        return self._pool.call_later(ceil(seconds * 1e9), ring)

    # What the layer asks for.

    def now(self) -> int:
        return self._pool.engine.clock(self._number)

    def check(self) -> None:
        if self._ended:
            raise StateError(f"{self.name} is down")

    def entered(self) -> None:
        self._pool.engine.touch(self._number)

    def entered_amid(self) -> None:
        self._pool.engine.touch(self._number)

    def publish(self, event: Event) -> None:
        self._pool.publish(self._number, event)

    def listens(self) -> bool:
        return True

    def warn(self, kind: str, text: str, *arguments: object) -> None:
        self.warnings.append(f"{kind}: {text % arguments}")

    def answer_internal(
        self, handle: int, ltime: int, number: int, name: str, payload: bytes
    ) -> None:
        if name in CHANGES:
            response = keys.change_keyring(self._ring, name, payload)
            self.respond_internal(handle, encode_key_response(response))
            return
        answer = self._answers.answer(ltime, number, name, payload)
        if answer is None:
            self.serf.ignore(handle)
        else:
            self.respond_internal(handle, answer)
