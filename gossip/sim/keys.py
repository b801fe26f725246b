"""Changing the keys of a whole simulated pool, through the pool itself (Serf §12)."""

from __future__ import annotations

from gossip._checks import value_errors
from gossip._serf import keys
from gossip._serf.calls import QueryCall
from gossip._serf.messages import encode_key_request
from gossip.keys import checked_key, parse_key
from gossip.reports import KeyReport
from gossip.sim.serf import Query, SimulatedLayer


class KeyCall:
    """A key query under way; `report` says what came of it so far."""

    def __init__(self, query: Query) -> None:
        self._query = query

    @property
    def over(self) -> bool:
        return self._query.over

    def report(self) -> KeyReport:
        tally = keys.KeyTally(self._query.members)
        for node, answer in self._query.responses().items():
            tally.add(node, answer)
        return tally.report()


class PoolKeys:
    """The keys of all members of a pool; the calls of `gossip.Node.keys`, without waiting."""

    def __init__(self, layer: SimulatedLayer) -> None:
        self._layer = layer

    def install(self, key: bytes | str, *, relay_factor: int = 0) -> KeyCall:
        return self._change(keys.INSTALL, key, relay_factor)

    def use(self, key: bytes | str, *, relay_factor: int = 0) -> KeyCall:
        return self._change(keys.USE, key, relay_factor)

    def remove(self, key: bytes | str, *, relay_factor: int = 0) -> KeyCall:
        return self._change(keys.REMOVE, key, relay_factor)

    def list(self, *, relay_factor: int = 0) -> KeyCall:
        return self._ask(keys.LIST, encode_key_request(None), relay_factor)

    def _change(self, query: str, key: bytes | str, relay_factor: int) -> KeyCall:
        raw = parse_key(key) if isinstance(key, str) else checked_key(key)
        return self._ask(query, encode_key_request(raw), relay_factor)

    def _ask(self, name: str, payload: bytes, relay_factor: int) -> KeyCall:
        with value_errors():
            return KeyCall(self._layer.ask(QueryCall(name, payload, relay_factor=relay_factor)))
