"""What is wrong with a configuration: the range of each field, and the faults between fields; and
with the arguments of calls.

A check gets a value of any type and returns what it must be instead, or None when it is sound.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeAlias

from gossip.errors import ArgumentError, KeyringError
from gossip.keys import KEY_SIZES, parse_key
from gossip.members import META_BYTES_MAX, NAME_BYTES_MAX, Address, encode_name

if TYPE_CHECKING:
    from gossip.config import Config
    from gossip.node_config import NodeConfig

Fault: TypeAlias = tuple[set[str], str, str]
"""A fault between fields: the other fields involved, the field to name, the text."""

LABEL_BYTES_MAX = 255
NAME_RULES = {"any": 0, "serf": 1}
APP_STALL_LEAST = 0.1
DRIVERS = ("asyncio", "thread")
AEADS = ("auto", "evp", "cryptography")

_SERF_NAME = re.compile(r"[A-Za-z0-9\-.]{1,128}")

# Field -> (lowest, highest), both allowed. memberlist has almost no ranges: ours keep a node from
# being started with values that can only be mistakes (milliseconds given for seconds).
SECONDS: Mapping[str, tuple[float, float]] = {
    "tcp_timeout": (0.001, 3600),
    "push_pull_interval": (0, 86400),
    "probe_interval": (0.001, 3600),
    "probe_timeout": (0.001, 3600),
    "gossip_interval": (0, 3600),
    "gossip_to_the_dead_time": (0, 31_536_000),
    "dead_node_reclaim_time": (0, 31_536_000),
    "leave_timeout": (0, 3600),
    "retry_join": (0, 86400),
    "loop_lag_bound": (0, 3600),
    "app_stall_timeout": (0, 86400),
    "heal_interval": (0, 86400),
    "heal_time": (0, 31_536_000),
}
COUNTS: Mapping[str, tuple[int, int]] = {
    "protocol_version": (1, 5),
    "delegate_protocol_min": (0, 255),
    "delegate_protocol_max": (0, 255),
    "delegate_protocol_version": (0, 255),
    "indirect_checks": (0, 64),
    "retransmit_mult": (0, 1000),
    "suspicion_mult": (1, 34),
    "suspicion_max_timeout_mult": (1, 1000),
    "awareness_max_multiplier": (1, 1000),
    "gossip_nodes": (0, 64),
    "udp_buffer_size": (508, 65507),
    "max_members": (1, 1 << 20),
    "new_names_per_packet": (1, 1024),
    "event_buffer": (1, 1 << 20),
}
SWITCHES = frozenset(
    {
        "plaintext",
        "disable_tcp_pings",
        "gossip_verify_incoming",
        "gossip_verify_outgoing",
        "enable_compression",
        "require_node_names",
        "skip_inbound_label_check",
        "report_pings",
    }
)

# The same for the fields of `NodeConfig`.
SERF_SECONDS: Mapping[str, tuple[float, float]] = {
    "broadcast_timeout": (0.001, 3600),
    "leave_propagate_delay": (0, 3600),
    "reap_interval": (0.001, 86400),
    "recent_intent_timeout": (0.001, 86400),
    "reconnect_timeout": (0, 31_536_000),
    "tombstone_timeout": (0, 31_536_000),
    "flap_timeout": (0, 86400),
    "queue_check_interval": (0, 86400),
    "coalesce_period": (0, 3600),
    "quiescent_period": (0, 3600),
    "user_coalesce_period": (0, 3600),
    "user_quiescent_period": (0, 3600),
}
_COALESCING_PAIRS = (
    ("coalesce_period", "quiescent_period"),
    ("user_coalesce_period", "user_quiescent_period"),
)
COALESCING = frozenset(name for pair in _COALESCING_PAIRS for name in pair)
SERF_COUNTS: Mapping[str, tuple[int, int]] = {
    "user_event_buffer": (1, 65536),
    "query_buffer": (1, 65536),
    "user_event_size_limit": (1, 9216),
    "query_size_limit": (1, 9216),
    "query_response_size_limit": (1, 9216),
    "query_timeout_mult": (1, 1000),
    "queue_depth_warning": (1, 1 << 20),
    "max_queue_depth": (0, 1 << 20),
    "min_queue_depth": (0, 1 << 20),
}
SERF_SWITCHES = frozenset(
    {
        "enable_name_conflict_resolution",
        "disable_coordinates",
        "rejoin_after_leave",
        "replay_on_join",
    }
)


def problems(config: Config, more: Iterable[Fault] = ()) -> dict[str, str]:
    """Every broken field and what is wrong with it, in the order of the fields.

    more: further faults between fields, looked for after the fields themselves.
    """
    found: dict[str, str] = {}
    for each in fields(config):
        problem = _field_problem(each.name, getattr(config, each.name))
        if problem is not None:
            found[each.name] = problem
    for involved, name, problem in chain(_relations(config), more):
        if not found.keys() & {name, *involved}:
            found[name] = problem
    return found


def _field_problem(name: str, value: object) -> str | None:
    seconds = SECONDS.get(name) or SERF_SECONDS.get(name)
    counts = COUNTS.get(name) or SERF_COUNTS.get(name)
    if seconds is not None:
        return _seconds_problem(value, *seconds)
    if counts is not None:
        return _count_problem(value, *counts)
    if name in SWITCHES | SERF_SWITCHES:
        return None if isinstance(value, bool) else f"must be True or False, not {value!r}"
    return _CHECKS[name](value)


def _relations(config: Config) -> Iterable[Fault]:
    """Faults between fields.

    Judged lazily: the values are of the right types only where their own checks passed.
    """
    if _sound(config, "name", "name_rule") and config.name is not None:
        problem = name_problem(config.name, config.name_rule)
        if problem is not None:
            yield {"name_rule"}, "name", problem
    probes = _sound(config, "probe_timeout", "probe_interval")
    if probes and config.probe_timeout > config.probe_interval:
        yield {"probe_interval"}, "probe_timeout", "must not exceed probe_interval"
    if _sound(config, "app_stall_timeout") and 0 < config.app_stall_timeout < APP_STALL_LEAST:
        yield set(), "app_stall_timeout", f"must be 0 or at least {APP_STALL_LEAST} seconds"
    delegate = ("delegate_protocol_min", "delegate_protocol_max", "delegate_protocol_version")
    if _sound(config, *delegate):
        low, high = config.delegate_protocol_min, config.delegate_protocol_max
        if not low <= config.delegate_protocol_version <= high:
            text = "must be from delegate_protocol_min to delegate_protocol_max"
            yield set(delegate), "delegate_protocol_version", text
    if config.key is not None and config.key_file is not None:
        yield {"key"}, "key_file", "give either key or key_file, not both"
    if config.plaintext is True and not (config.key is None and config.key_file is None):
        yield {"key", "key_file"}, "plaintext", "a key is given as well; remove one of the two"


def node_relations(config: NodeConfig) -> Iterable[Fault]:
    """The same for the fields that only a `NodeConfig` has."""
    if config.meta:
        yield set(), "meta", "is made of the tags of a Node; give tags"
    keys = (config.key, config.key_file)
    if config.keyring_file is not None and (keys != (None, None) or config.plaintext is True):
        text = "give either keyring_file, or key or key_file, or plaintext"
        yield {"key", "key_file", "plaintext"}, "keyring_file", text
    versions = ("delegate_protocol_min", "delegate_protocol_max")
    if _sound(config, *versions):
        low, high = config.delegate_protocol_min, config.delegate_protocol_max
        if not 2 <= low <= high <= 5:
            yield set(versions), "delegate_protocol_min", "Serf's protocol versions are 2 to 5"
    for period, quiet in _COALESCING_PAIRS:
        if bool(getattr(config, period)) != bool(getattr(config, quiet)):
            yield {period, quiet}, quiet, f"give both {period} and {quiet}, or none of them"


def _sound(config: Config, *names: str) -> bool:
    return all(_field_problem(name, getattr(config, name)) is None for name in names)


def _seconds_problem(value: object, lowest: float, highest: float) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number of seconds, not {value!r}"
    if not lowest <= value <= highest:
        return f"must be {lowest:g} to {highest:g} seconds, not {value!r}"
    return None


def _count_problem(value: object, lowest: int, highest: int) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number, not {value!r}"
    return None if lowest <= value <= highest else f"must be {lowest} to {highest}, not {value}"


def name_problem(name: object, rule: str = "any") -> str | None:
    """What is wrong with the name of a node under a name rule."""
    if not isinstance(name, str):
        return f"must be a text, not {name!r}"
    try:
        length = len(encode_name(name))
    except UnicodeEncodeError:
        return f"must be a text that UTF-8 can carry, not {name!r}"
    if not 1 <= length <= NAME_BYTES_MAX:
        return f"must be 1 to {NAME_BYTES_MAX} bytes long, not {length}"
    if any(letter < " " or letter == "\x7f" for letter in name):
        return f"must be without control characters, not {name!r}"
    if rule == "serf" and not _SERF_NAME.fullmatch(name):
        return "must be 1 to 128 letters, digits, dashes and dots, as name_rule='serf' asks"
    return None


def meta_problem(meta: object) -> str | None:
    """What is wrong with the metadata of a node (protocol §25)."""
    if not isinstance(meta, bytes | bytearray | memoryview):
        return f"must be bytes, not {type(meta).__name__}"
    length = len(bytes(meta))
    return (
        None
        if length <= META_BYTES_MAX
        else f"must be at most {META_BYTES_MAX} bytes, not {length}"
    )


def _tags(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return f"must be texts by their names, not {value!r}"
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            return f"must be texts by their names, not {name!r}: {text!r}"
    return None


def _optional_name(value: object) -> str | None:
    return None if value is None else name_problem(value)


def _seeds(value: object) -> str | None:
    if isinstance(value, str | bytes):
        return f"must be a list of texts, not one text; write seeds=[{value!r}]"
    if not isinstance(value, Sequence):
        return f"must be a list of texts, not {value!r}"
    for seed in value:
        if not isinstance(seed, str) or not seed or seed.startswith("/"):
            return f"must be texts like host:port or name/host:port, not {seed!r}"
    return None


def _key(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            parse_key(value)
        except KeyringError as error:
            return str(error)
        return None
    if not isinstance(value, bytes):
        return "must be bytes, or their base64 text; make one with: gossip keygen"
    if len(value) not in KEY_SIZES:
        return f"must be 16, 24 or 32 bytes, not {len(value)}; make one with: gossip keygen"
    return None


def _path(value: object) -> str | None:
    sound = value is None or isinstance(value, PurePath) or (isinstance(value, str) and value)
    return None if sound else f"must be a path, as text or from pathlib, not {value!r}"


def _bind(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a text like 10.0.0.7:7946, not {value!r}"
    try:
        Address.parse(value)
    except ValueError as error:
        return str(error)
    return None


def _advertise(value: object) -> str | None:
    if value is None:
        return None
    problem = _bind(value)
    if problem is None and ipaddress.ip_address(Address.parse(str(value)).host).is_unspecified:
        return "must be an address that others can reach, not the unspecified one"
    return problem


def _label(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a text, not {value!r}"
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        return f"must be a text that UTF-8 can carry, not {value!r}"
    return None if length <= LABEL_BYTES_MAX else f"must be at most 255 bytes, not {length}"


def _accept_member(value: object) -> str | None:
    return None if value is None or callable(value) else "must be a function of a Member"


def _name_rule(value: object) -> str | None:
    return None if value in ("any", "serf") else f"must be 'any' or 'serf', not {value!r}"


def _aead(value: object) -> str | None:
    return None if value in AEADS else f"must be one of {', '.join(AEADS)}, not {value!r}"


def _driver(value: object) -> str | None:
    return None if value in DRIVERS else f"must be 'asyncio' or 'thread', not {value!r}"


def _cidrs_allowed(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return f"must be a list of networks; write cidrs_allowed=[{value!r}]"
    if not isinstance(value, Sequence):
        return f"must be a list of networks, not {value!r}"
    for cidr in value:
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return f"must be networks like 10.0.0.0/8 or fd00::/8, not {cidr!r}"
    return None


_CHECKS: Mapping[str, Callable[[object], str | None]] = {
    "name": _optional_name,
    "seeds": _seeds,
    "key": _key,
    "key_file": _path,
    "bind": _bind,
    "advertise": _advertise,
    "label": _label,
    "meta": meta_problem,
    "tags": _tags,
    "keyring_file": _path,
    "snapshot_path": _path,
    "accept_member": _accept_member,
    "cidrs_allowed": _cidrs_allowed,
    "name_rule": _name_rule,
    "aead": _aead,
    "driver": _driver,
}


# -- arguments of calls


@contextlib.contextmanager
def value_errors() -> Iterator[None]:
    """What the core refuses as a wrong value is a wrong argument of the caller."""
    try:
        yield
    except ValueError as error:
        raise ArgumentError(str(error)) from None


def checked_name(name: str) -> str:
    problem = name_problem(name)
    if problem is not None:
        raise ArgumentError(f"the name of a member {problem}")
    return name


def checked_payload(payload: bytes) -> bytes:
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise ArgumentError(f"a payload is bytes, not {type(payload).__name__}")
    return bytes(payload)
