"""The configuration of a `Node`: that of a `Memberlist`, and Serf's (Serf §19)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Self, Unpack

from gossip import _checks
from gossip.config import LOCAL, WAN, Config, ConfigFields, Tuning


class NodeTuning(Tuning, total=False):
    """The fields of `NodeConfig` that tune the protocol; their meaning is said there."""

    user_event_buffer: int
    query_buffer: int
    user_event_size_limit: int
    query_size_limit: int
    query_response_size_limit: int
    query_timeout_mult: int
    broadcast_timeout: float
    leave_propagate_delay: float
    reap_interval: float
    recent_intent_timeout: float
    reconnect_timeout: float
    tombstone_timeout: float
    flap_timeout: float
    queue_check_interval: float
    queue_depth_warning: int
    max_queue_depth: int
    min_queue_depth: int
    coalesce_period: float
    quiescent_period: float
    user_coalesce_period: float
    user_quiescent_period: float
    enable_name_conflict_resolution: bool
    disable_coordinates: bool
    rejoin_after_leave: bool


class NodeFields(ConfigFields, NodeTuning, total=False):
    """All fields of `NodeConfig`, for the presets and the facades."""

    tags: Mapping[str, str]
    keyring_file: str | PurePath | None
    snapshot_path: str | PurePath | None
    replay_on_join: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig(Config):
    """How a `Node` behaves: the fields of `Config`, and these, by Serf's names and defaults.

    Differences to `Config`: `meta` is made of the tags and cannot be given; the delegate versions
    are Serf's (2 to 5, and 4 spoken, as Serf's library does; the agent says 5); leaving takes
    longer, so `leave_timeout` is 15 s. Serf's ReconnectInterval is `heal_interval`, and a member
    that failed is called until it is reaped (`reconnect_timeout`); `heal_time` is for seeds alone.
    Its ValidateNodeNames is `name_rule="serf"`.

    Who and where
      tags: what all members shall know about this one, as names with values; 512 bytes in all.
      keyring_file: a path to Serf's keyring file: where the keys come from, and where changes by
        `keys` are kept. Instead of `key` and `key_file`.
      snapshot_path: a file that remembers members and Lamport times for the next start.
      rejoin_after_leave: use the snapshot's members also after a graceful leave.
      replay_on_join: take user events in that were sent before this node joined its seeds.

    Events and queries
      user_event_size_limit (up to 9216), query_size_limit, query_response_size_limit: bytes.
      user_event_buffer, query_buffer: Lamport times remembered to tell repetitions (Serf's
        EventBuffer and QueryBuffer).
      query_timeout_mult: the default timeout of a query in gossip intervals, times
        ceil(log10(members + 1)).
      coalesce_period, quiescent_period: merge member events for so long; 0: off.
      user_coalesce_period, user_quiescent_period: the same for user events.

    Members
      broadcast_timeout, leave_propagate_delay, reap_interval, recent_intent_timeout,
      reconnect_timeout, tombstone_timeout, flap_timeout, queue_check_interval (0: never),
      queue_depth_warning, max_queue_depth, min_queue_depth,
      enable_name_conflict_resolution, disable_coordinates.
    """

    delegate_protocol_min: int = 2
    delegate_protocol_max: int = 5
    delegate_protocol_version: int = 4
    leave_timeout: float = 15.0

    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    keyring_file: str | PurePath | None = None
    snapshot_path: str | PurePath | None = None
    rejoin_after_leave: bool = False
    replay_on_join: bool = False

    user_event_buffer: int = 512
    query_buffer: int = 512
    user_event_size_limit: int = 512
    query_size_limit: int = 1024
    query_response_size_limit: int = 1024
    query_timeout_mult: int = 16
    coalesce_period: float = 0.0
    quiescent_period: float = 0.0
    user_coalesce_period: float = 0.0
    user_quiescent_period: float = 0.0

    broadcast_timeout: float = 5.0
    leave_propagate_delay: float = 1.0
    reap_interval: float = 15.0
    recent_intent_timeout: float = 300.0
    reconnect_timeout: float = 86400.0
    tombstone_timeout: float = 86400.0
    flap_timeout: float = 60.0
    queue_check_interval: float = 30.0
    queue_depth_warning: int = 128
    max_queue_depth: int = 4096
    min_queue_depth: int = 0
    enable_name_conflict_resolution: bool = True
    disable_coordinates: bool = False

    def __post_init__(self) -> None:
        super(NodeConfig, self).__post_init__()
        object.__setattr__(self, "tags", dict(self.tags))

    def _more_faults(self) -> Iterable[_checks.Fault]:
        return _checks.node_relations(self)

    @classmethod
    def lan(cls, **given: Unpack[NodeFields]) -> Self:
        """Serf's profile for one data centre: the defaults."""
        return cls(**given)

    @classmethod
    def wan(cls, **given: Unpack[NodeFields]) -> Self:
        """Serf's profile for links between data centres."""
        fields: NodeFields = {**WAN, **given}
        return cls(**fields)

    @classmethod
    def local(cls, **given: Unpack[NodeFields]) -> Self:
        """Serf's profile for nodes on one machine."""
        fields: NodeFields = {**LOCAL, **given}
        return cls(**fields)

    def settings(self) -> dict[str, int]:
        """What the core needs to know; coordinates need to hear of each answered probe."""
        settings = super(NodeConfig, self).settings()
        settings["report_pings"] |= int(not self.disable_coordinates)
        return settings

    def serf_settings(self) -> dict[str, int]:
        """What Serf's layer of the core needs to know, durations in nanoseconds."""
        settings = {
            f"{name}_ns": round(getattr(self, name) * 1_000_000_000)
            for name in _checks.SERF_SECONDS.keys() - _checks.COALESCING
        }
        settings |= {name: getattr(self, name) for name in _checks.SERF_COUNTS}
        settings["reconnect_interval_ns"] = round(self.heal_interval * 1_000_000_000)
        settings["event_buffer"] = settings.pop("user_event_buffer")
        return settings
