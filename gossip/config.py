"""The configuration of a node: memberlist's names and defaults, checked as a whole.

Durations are float seconds here and integer nanoseconds in the core (`Config.settings`). Reads no
file, no environment and no network: what depends on the machine is settled when a node is made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, Self, TypeAlias, TypedDict, Unpack

from gossip import _checks
from gossip.errors import ConfigError
from gossip.members import DEFAULT_PORT, Address, Member

AcceptMember: TypeAlias = Callable[[Member], bool | Awaitable[bool]]
NameRule: TypeAlias = Literal["any", "serf"]
DriverChoice: TypeAlias = Literal["asyncio", "thread"]
AeadChoice: TypeAlias = Literal["auto", "evp", "cryptography"]


# Durations that the core does not know.
_OF_THE_DRIVER = {"leave_timeout", "retry_join", "loop_lag_bound", "app_stall_timeout"}


class Tuning(TypedDict, total=False):
    """The fields of `Config` that tune the protocol; their meaning is said there."""

    leave_timeout: float
    protocol_version: int
    delegate_protocol_min: int
    delegate_protocol_max: int
    delegate_protocol_version: int
    tcp_timeout: float
    indirect_checks: int
    retransmit_mult: int
    suspicion_mult: int
    suspicion_max_timeout_mult: int
    push_pull_interval: float
    probe_interval: float
    probe_timeout: float
    disable_tcp_pings: bool
    awareness_max_multiplier: int
    gossip_nodes: int
    gossip_interval: float
    gossip_to_the_dead_time: float
    gossip_verify_incoming: bool
    gossip_verify_outgoing: bool
    enable_compression: bool
    udp_buffer_size: int
    dead_node_reclaim_time: float
    require_node_names: bool
    skip_inbound_label_check: bool
    cidrs_allowed: Sequence[str] | None
    name_rule: NameRule
    max_members: int
    new_names_per_packet: int
    event_buffer: int
    report_pings: bool
    heal_interval: float
    heal_time: float
    aead: AeadChoice
    driver: DriverChoice
    loop_lag_bound: float
    app_stall_timeout: float


class ConfigFields(Tuning, total=False):
    """All fields of `Config`, for the presets and the facades."""

    name: str | None
    seeds: Sequence[str]
    key: bytes | str | None
    key_file: str | PurePath | None
    bind: str
    advertise: str | None
    label: str
    meta: bytes
    plaintext: bool
    accept_member: AcceptMember | None
    retry_join: float


# memberlist's profiles: how they differ from the LAN's, which is the defaults.
WAN: Tuning = {
    "tcp_timeout": 30.0,
    "suspicion_mult": 6,
    "push_pull_interval": 60.0,
    "probe_timeout": 3.0,
    "probe_interval": 5.0,
    "gossip_nodes": 4,
    "gossip_interval": 0.5,
    "gossip_to_the_dead_time": 60.0,
}
LOCAL: Tuning = {
    "tcp_timeout": 1.0,
    "indirect_checks": 1,
    "retransmit_mult": 2,
    "suspicion_mult": 3,
    "push_pull_interval": 15.0,
    "probe_timeout": 0.2,
    "gossip_interval": 0.1,
    "gossip_to_the_dead_time": 15.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a node behaves. Making one that cannot work raises `ConfigError` with every fault.

    The defaults are memberlist's LAN profile; `wan()` and `local()` are its others. All durations
    are seconds; 0 turns an interval off where the field says so.

    Who and where
      name: unique in the pool, 1 to 255 bytes; the host name when None.
      seeds: `[nodename/]host[:port]` of nodes to join; the port is this node's own when missing.
      key: the gossip key: 16, 24 or 32 bytes, or its base64 text. Better than in code: `key_file`
        (a path), or the environment variables GOSSIP_KEY (base64) and GOSSIP_KEY_FILE (a path).
      bind: `address[:port]`, one IP address for UDP and TCP; port 0 takes a free one.
      advertise: `address[:port]` that others shall use, where it is not `bind` (behind a NAT, or
        bound to 0.0.0.0 or [::]; then, when None, a private address of this machine).
      label: separates pools that could reach one another; up to 255 bytes.
      meta: what all members shall know about this one; up to 512 bytes.
      plaintext: allow a bind beyond loopback without a key. It also means: use no key at all.
      accept_member: asked once about each unknown name; False refuses it. May be async.
      retry_join: when no seed is reached, start alone and try again after this many seconds, the
        names resolved anew; 0: a start that reaches no seed raises.
      leave_timeout: how long leaving `async with` waits for the leave to spread.

    memberlist's own (protocol §24)
      tcp_timeout, push_pull_interval (0: off), probe_interval, probe_timeout, gossip_interval (0:
      off), gossip_to_the_dead_time, dead_node_reclaim_time (0: never), protocol_version,
      delegate_protocol_min/max/version, indirect_checks, retransmit_mult, suspicion_mult,
      suspicion_max_timeout_mult, awareness_max_multiplier, gossip_nodes (0: off),
      disable_tcp_pings, gossip_verify_incoming, gossip_verify_outgoing, enable_compression,
      udp_buffer_size, require_node_names, skip_inbound_label_check, cidrs_allowed (networks; None:
      all).

    Limits of our own
      name_rule: "serf" takes only names of 1 to 128 of `A-Z a-z 0-9 - .`; "any" takes all.
      max_members, new_names_per_packet: bound a flood of names.
      event_buffer: messages that wait for one slow consumer before the oldest is dropped.
      report_pings: publish `PingCompleted` for each answered probe.

    Partition heal
      heal_interval: after half to one and a half times this, a member that failed, or a seed that
        is no member, is called again, so that a partition heals; 0: never.
      heal_time: how long each of them is called after it was lost.

    Of this implementation
      aead: what seals and opens: "evp" calls the OpenSSL of the interpreter, or the system's,
        without the GIL; "cryptography" needs the GIL for each packet; "auto" takes the first that
        works. `Stats.aead` says which it is.
      driver: "asyncio" handles packets on the event loop; "thread" on a thread of its own that
        needs no GIL, so that the node answers while the interpreter is busy. Streams, events and
        all calls stay on the event loop with both.
      loop_lag_bound: `LoopLagged` is published when the event loop was later than this; 0: never.
      app_stall_timeout: with the thread driver, a node whose event loop has not turned for so long
        stops answering until it does, so that an application that hangs fails in its pool; 0: it
        goes on for ever. With asyncio a node stops answering at once when its loop does.
    """

    name: str | None = None
    seeds: Sequence[str] = ()
    key: bytes | str | None = field(default=None, repr=False)
    key_file: str | PurePath | None = None
    bind: str = f"127.0.0.1:{DEFAULT_PORT}"
    advertise: str | None = None
    label: str = ""
    meta: bytes = b""
    plaintext: bool = False
    accept_member: AcceptMember | None = None
    retry_join: float = 5.0
    leave_timeout: float = 5.0

    protocol_version: int = 2
    delegate_protocol_min: int = 0
    delegate_protocol_max: int = 0
    delegate_protocol_version: int = 0
    tcp_timeout: float = 10.0
    indirect_checks: int = 3
    retransmit_mult: int = 4
    suspicion_mult: int = 4
    suspicion_max_timeout_mult: int = 6
    push_pull_interval: float = 30.0
    probe_interval: float = 1.0
    probe_timeout: float = 0.5
    disable_tcp_pings: bool = False
    awareness_max_multiplier: int = 8
    gossip_nodes: int = 3
    gossip_interval: float = 0.2
    gossip_to_the_dead_time: float = 30.0
    gossip_verify_incoming: bool = True
    gossip_verify_outgoing: bool = True
    enable_compression: bool = True
    udp_buffer_size: int = 1400
    dead_node_reclaim_time: float = 0.0
    require_node_names: bool = False
    skip_inbound_label_check: bool = False
    cidrs_allowed: Sequence[str] | None = None

    name_rule: NameRule = "any"
    max_members: int = 65536
    new_names_per_packet: int = 64
    event_buffer: int = 4096
    report_pings: bool = False

    heal_interval: float = 30.0
    heal_time: float = 86400.0

    aead: AeadChoice = "auto"
    driver: DriverChoice = "asyncio"
    loop_lag_bound: float = 0.5
    app_stall_timeout: float = 0.0

    def __post_init__(self) -> None:
        problems = _checks.problems(self, self._more_faults())
        if problems:
            raise ConfigError(problems)
        # Frozen means frozen: nothing the caller still holds may change what was checked.
        object.__setattr__(self, "seeds", tuple(self.seeds))
        object.__setattr__(self, "meta", bytes(self.meta))
        if self.cidrs_allowed is not None:
            object.__setattr__(self, "cidrs_allowed", tuple(self.cidrs_allowed))

    def _more_faults(self) -> Iterable[_checks.Fault]:
        """Faults between the fields of a subclass."""
        return ()

    @classmethod
    def lan(cls, **given: Unpack[ConfigFields]) -> Self:
        """memberlist's profile for one data centre: the defaults."""
        return cls(**given)

    @classmethod
    def wan(cls, **given: Unpack[ConfigFields]) -> Self:
        """memberlist's profile for links between data centres."""
        fields: ConfigFields = {**WAN, **given}
        return cls(**fields)

    @classmethod
    def local(cls, **given: Unpack[ConfigFields]) -> Self:
        """memberlist's profile for nodes on one machine."""
        fields: ConfigFields = {**LOCAL, **given}
        return cls(**fields)

    @property
    def bind_address(self) -> Address:
        return Address.parse(self.bind)

    @property
    def advertise_address(self) -> Address | None:
        """The address to advertise; port 0 stands for the bound port. None: the bound address."""
        return None if self.advertise is None else Address.parse(self.advertise, default_port=0)

    @property
    def networks(self) -> list[tuple[bytes, int]] | None:
        """`cidrs_allowed` as (address bytes, prefix length); None when everything is allowed."""
        if not self.cidrs_allowed:
            return None
        networks = [ipaddress.ip_network(cidr, strict=False) for cidr in self.cidrs_allowed]
        return [(network.network_address.packed, network.prefixlen) for network in networks]

    def settings(self) -> dict[str, int]:
        """What the core needs to know: durations in nanoseconds, switches as 0 or 1."""
        settings: dict[str, int] = {}
        for name in _checks.SECONDS.keys() - _OF_THE_DRIVER:
            settings[f"{name}_ns"] = round(getattr(self, name) * 1_000_000_000)
        for name in _checks.COUNTS.keys() - {"event_buffer"}:
            settings[name] = getattr(self, name)
        for name in _checks.SWITCHES - {"plaintext", "require_node_names"}:
            settings[name] = int(getattr(self, name))
        settings["name_rule"] = _checks.NAME_RULES[self.name_rule]
        settings["ask_accept_member"] = int(self.accept_member is not None)
        return settings
