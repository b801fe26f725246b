"""Units of virtual time and the settings of the presets (protocol §24) as the core takes them."""

from __future__ import annotations

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

# A clock that begins at nought would hide a core that takes nought for "never".
EPOCH = 1_000 * SECOND

LAN: dict[str, int] = {
    "protocol_version": 2,
    "delegate_protocol_min": 0,
    "delegate_protocol_max": 0,
    "delegate_protocol_version": 0,
    "tcp_timeout_ns": 10 * SECOND,
    "indirect_checks": 3,
    "retransmit_mult": 4,
    "suspicion_mult": 4,
    "suspicion_max_timeout_mult": 6,
    "push_pull_interval_ns": 30 * SECOND,
    "probe_timeout_ns": 500 * MILLISECOND,
    "probe_interval_ns": SECOND,
    "disable_tcp_pings": 0,
    "awareness_max_multiplier": 8,
    "gossip_nodes": 3,
    "gossip_interval_ns": 200 * MILLISECOND,
    "gossip_to_the_dead_time_ns": 30 * SECOND,
    "gossip_verify_incoming": 1,
    "gossip_verify_outgoing": 1,
    "enable_compression": 1,
    "udp_buffer_size": 1400,
    "dead_node_reclaim_time_ns": 0,
    "skip_inbound_label_check": 0,
    "max_members": 100_000,
    "new_names_per_packet": 1_000,
    "name_rule": 0,
    "ask_accept_member": 0,
    "report_pings": 0,
    "heal_interval_ns": 30 * SECOND,
    "heal_time_ns": 86_400 * SECOND,
}

# What the papers vary and memberlist fixes: these need not be given.
TRIALS = {
    "suspicion_k",
    "buddy_system",
    "nack_percent",
    "scale_probe_timeout",
    "notice_stalls",
}

SERF_VERSIONS: dict[str, int] = {
    "delegate_protocol_min": 2,
    "delegate_protocol_max": 5,
    "delegate_protocol_version": 4,
}

SERF: dict[str, int] = {  # Serf §19, the library's
    "event_buffer": 512,
    "query_buffer": 512,
    "user_event_size_limit": 512,
    "query_size_limit": 1024,
    "query_response_size_limit": 1024,
    "broadcast_timeout_ns": 5 * SECOND,
    "leave_propagate_delay_ns": SECOND,
    "reap_interval_ns": 15 * SECOND,
    "recent_intent_timeout_ns": 300 * SECOND,
    "reconnect_interval_ns": 30 * SECOND,
    "reconnect_timeout_ns": 24 * 3600 * SECOND,
    "tombstone_timeout_ns": 24 * 3600 * SECOND,
    "flap_timeout_ns": 60 * SECOND,
    "queue_check_interval_ns": 30 * SECOND,
    "queue_depth_warning": 128,
    "max_queue_depth": 4096,
    "min_queue_depth": 0,
    "query_timeout_mult": 16,
}


def lan(**changes: int) -> dict[str, int]:
    """The LAN preset with some settings changed; an unknown name is a mistake of the test."""
    unknown = changes.keys() - LAN.keys() - TRIALS
    assert not unknown, f"no such setting: {sorted(unknown)}"
    return LAN | changes


def serf(**changes: int) -> dict[str, int]:
    """Serf's defaults with some settings changed; an unknown name is a mistake of the test."""
    unknown = changes.keys() - SERF.keys()
    assert not unknown, f"no such setting: {sorted(unknown)}"
    return SERF | changes
