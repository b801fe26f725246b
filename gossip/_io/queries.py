"""Queries of this node, and their answers as they come (Serf §11)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from gossip.errors import StateError
from gossip.reports import QueryAck, QueryResponse


class Query:
    """A query under way; an async iterator over its acks and responses, each once a node.

        async for answer in node.query("uptime"):
            match answer:
                case gossip.QueryResponse(node=name, payload=payload): ...

    It ends when every member that was asked has answered or gone, at the latest at its deadline,
    and with the node. One task at a time may wait.

    deadline: in seconds of the monotonic clock of this process. members: how many were asked.
    """

    def __init__(
        self, name: str, ltime: int, deadline: float, members: int, cancel: Callable[[], None]
    ) -> None:
        self.name = name
        self.ltime = ltime
        self.deadline = deadline
        self.members = members
        self.lost = 0
        self.early = False
        self._limit = 2 * members + 16
        self._cancel = cancel
        self._waiting: deque[QueryAck | QueryResponse] = deque()
        self._over = False
        self._reader: asyncio.Future[None] | None = None

    def __aiter__(self) -> Query:
        return self

    async def __anext__(self) -> QueryAck | QueryResponse:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            if self._reader is not None:
                raise StateError("another task waits on this query")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._waiting.popleft()

    async def responses(self) -> dict[str, bytes]:
        """Waits for the end; gives the responses that were not taken before, by node."""
        return {each.node: each.payload async for each in self if isinstance(each, QueryResponse)}

    async def acks(self) -> set[str]:
        """Waits for the end; gives the nodes whose acks were not taken before."""
        return {each.node async for each in self if isinstance(each, QueryAck)}

    def close(self) -> None:
        """No more answers are wanted; those that came can still be taken."""
        if not self._over:
            self._cancel()
            self.end(early=False)

    def put(self, answer: QueryAck | QueryResponse) -> None:
        """An answer came; beyond a bound, as when somebody makes up names, it is dropped."""
        if len(self._waiting) >= self._limit:
            self.lost += 1
            return
        self._waiting.append(answer)
        self._wake()

    def end(self, *, early: bool) -> None:
        self._over = True
        self.early = early
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def __repr__(self) -> str:
        return f"<Query {self.name} at {self.ltime}>"


class Queries:
    """The queries under way by their ids. One that nobody holds any more is given up."""

    def __init__(self, cancel: Callable[[int], None]) -> None:
        self._cancel = cancel
        self._under_way: WeakValueDictionary[int, Query] = WeakValueDictionary()

    def begin(self, name: str, number: int, ltime: int, deadline: float, members: int) -> Query:
        query = Query(name, ltime, deadline, members, lambda: self._cancel(number))
        self._under_way[number] = query
        return query

    def put(self, number: int, answer: QueryAck | QueryResponse) -> None:
        query = self._under_way.get(number)
        if query is None:
            self._cancel(number)
        else:
            query.put(answer)

    def end(self, number: int, *, early: bool) -> None:
        query: Any = self._under_way.pop(number, None)
        if query is not None:
            query.end(early=early)

    def end_all(self) -> None:
        for number in list(self._under_way.keys()):
            self.end(number, early=False)
