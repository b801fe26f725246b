"""The configuration: presets, and one error that names every fault."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, get_type_hints

import pytest

import gossip
from gossip.config import ConfigFields

# protocol §24, as (lan, wan, local); durations in nanoseconds.
SECOND = 1_000_000_000
PROFILES: dict[str, tuple[int, int, int]] = {
    "protocol_version": (2, 2, 2),
    "tcp_timeout_ns": (10 * SECOND, 30 * SECOND, SECOND),
    "indirect_checks": (3, 3, 1),
    "retransmit_mult": (4, 4, 2),
    "suspicion_mult": (4, 6, 3),
    "suspicion_max_timeout_mult": (6, 6, 6),
    "push_pull_interval_ns": (30 * SECOND, 60 * SECOND, 15 * SECOND),
    "probe_timeout_ns": (SECOND // 2, 3 * SECOND, SECOND // 5),
    "probe_interval_ns": (SECOND, 5 * SECOND, SECOND),
    "disable_tcp_pings": (0, 0, 0),
    "awareness_max_multiplier": (8, 8, 8),
    "gossip_nodes": (3, 4, 3),
    "gossip_interval_ns": (SECOND // 5, SECOND // 2, SECOND // 10),
    "gossip_to_the_dead_time_ns": (30 * SECOND, 60 * SECOND, 15 * SECOND),
    "gossip_verify_incoming": (1, 1, 1),
    "gossip_verify_outgoing": (1, 1, 1),
    "enable_compression": (1, 1, 1),
    "udp_buffer_size": (1400, 1400, 1400),
    "dead_node_reclaim_time_ns": (0, 0, 0),
    "skip_inbound_label_check": (0, 0, 0),
    "delegate_protocol_min": (0, 0, 0),
    "delegate_protocol_max": (0, 0, 0),
    "delegate_protocol_version": (0, 0, 0),
}
OURS = {
    "heal_interval_ns",
    "heal_time_ns",
    "max_members",
    "new_names_per_packet",
    "name_rule",
    "ask_accept_member",
    "report_pings",
}


@pytest.mark.parametrize("index", [0, 1, 2], ids=["lan", "wan", "local"])
def test_a_preset_has_the_values_of_memberlist(index: int) -> None:
    preset = (gossip.Config.lan(), gossip.Config.wan(), gossip.Config.local())[index]
    settings = preset.settings()
    assert {key: settings[key] for key in PROFILES} == {
        key: values[index] for key, values in PROFILES.items()
    }


def test_the_settings_are_exactly_what_the_core_is_told() -> None:
    settings = gossip.Config().settings()
    assert settings.keys() == PROFILES.keys() | OURS
    assert all(type(value) is int for value in settings.values())


def test_a_preset_yields_to_what_is_given() -> None:
    config = gossip.Config.wan(probe_interval=7.5, seeds=["a", "b"])
    assert config.probe_interval == 7.5
    assert config.gossip_nodes == 4
    assert config.seeds == ("a", "b")


def test_nothing_given_stays_changeable() -> None:
    seeds, meta = ["a"], bytearray(b"x")
    config = gossip.Config(seeds=seeds, meta=bytes(meta))
    seeds.append("b")
    assert config.seeds == ("a",)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.name = "other"  # type: ignore[misc]


def test_one_error_names_every_broken_field() -> None:
    with pytest.raises(gossip.ConfigError) as caught:
        gossip.Config(name="", key=b"k" * 20, meta=b"m" * 513, probe_interval=0, bind="host:7946")
    assert list(caught.value.problems) == ["name", "key", "bind", "meta", "probe_interval"]
    text = str(caught.value)
    assert "must be 16, 24 or 32 bytes, not 20; make one with: gossip keygen" in text
    assert "must be at most 512 bytes, not 513" in text
    assert "'host' is not an IP address" in text


BROKEN: list[tuple[str, Any]] = [
    ("name", "x" * 256),
    ("name", b"bytes"),
    ("name", "\ud800"),
    ("name", "web\n1"),
    ("seeds", "10.0.0.1"),
    ("seeds", ["/10.0.0.1"]),
    ("seeds", [""]),
    ("seeds", 3),
    ("key", "not base64"),
    ("key", "c2hvcnQ="),
    ("key", 3),
    ("key_file", ""),
    ("bind", "127.0.0.1:70000"),
    ("bind", "[::1"),
    ("bind", None),
    ("advertise", "0.0.0.0:7946"),
    ("advertise", "name:7946"),
    ("label", "x" * 256),
    ("meta", "text"),
    ("plaintext", 1),
    ("accept_member", "yes"),
    ("retry_join", -1),
    ("leave_timeout", float("nan")),
    ("protocol_version", 0),
    ("protocol_version", 6),
    ("protocol_version", True),
    ("probe_interval", "1s"),
    ("probe_timeout", 2.0),
    ("tcp_timeout", 10_000),
    ("gossip_nodes", 1.5),
    ("delegate_protocol_version", 3),
    ("udp_buffer_size", 100),
    ("cidrs_allowed", "10.0.0.0/8"),
    ("cidrs_allowed", ["10.0.0.0/99"]),
    ("name_rule", "consul"),
    ("max_members", 0),
]


@pytest.mark.parametrize(("field", "value"), BROKEN)
def test_a_broken_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(gossip.ConfigError) as caught:
        gossip.Config(**{field: value})
    assert list(caught.value.problems) == [field]


def test_the_serf_name_rule_holds_for_the_own_name() -> None:
    gossip.Config(name="web-1.example", name_rule="serf")
    with pytest.raises(gossip.ConfigError, match="name_rule='serf'"):
        gossip.Config(name="web_1", name_rule="serf")


def test_a_key_and_plaintext_exclude_each_other() -> None:
    with pytest.raises(gossip.ConfigError, match="remove one of the two"):
        gossip.Config(key=b"k" * 16, plaintext=True)
    with pytest.raises(gossip.ConfigError, match="not both"):
        gossip.Config(key=b"k" * 16, key_file="/etc/gossip/key")


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="probe_intervall"):
        gossip.Config(probe_intervall=1)  # type: ignore[call-arg]


def test_the_typed_mapping_has_the_fields_of_the_configuration() -> None:
    names = {each.name for each in dataclasses.fields(gossip.Config)}
    assert get_type_hints(ConfigFields).keys() == names


def test_a_key_does_not_show_in_the_representation() -> None:
    assert "secret" not in repr(gossip.Config(key=b"secret-secret-16"))


def test_addresses_are_read_with_and_without_a_port() -> None:
    assert gossip.Config(bind="10.1.2.3").bind_address == ("10.1.2.3", 7946)
    assert gossip.Config(bind="[::1]:0").bind_address == ("::1", 0)
    assert gossip.Config(bind="::1").bind_address == ("::1", 7946)
    assert gossip.Config(advertise="10.1.2.3").advertise_address == ("10.1.2.3", 0)


def test_networks_are_given_to_the_core_as_bytes() -> None:
    config = gossip.Config(cidrs_allowed=["10.1.2.3/8", "fd00::/8"])
    assert config.networks == [(b"\x0a\0\0\0", 8), (b"\xfd" + bytes(15), 8)]
    assert gossip.Config(cidrs_allowed=[]).networks is None


def test_errors_and_values_survive_a_process_boundary() -> None:
    error = gossip.ConfigError({"name": "must be short"})
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
    report = gossip.JoinReport((gossip.SeedReport("a", error="unknown host"),))
    assert pickle.loads(pickle.dumps(gossip.JoinError(report))).report == report


def test_a_seed_that_is_an_address_is_named_once_in_its_report() -> None:
    address = gossip.Address("127.0.0.1", 1)
    contact = gossip.Contact(address, error="connection refused")
    assert str(gossip.SeedReport("127.0.0.1:1", (contact,))) == "127.0.0.1:1: connection refused"
    assert str(gossip.SeedReport("db", (contact,))) == "db: 127.0.0.1:1: connection refused"
