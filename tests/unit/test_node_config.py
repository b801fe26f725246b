"""The configuration of a `Node`: what is wrong is said at once, and all of it."""

from __future__ import annotations

import os
from typing import Any

import pytest

import gossip
from gossip import Config, ConfigError, NodeConfig

BROKEN: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"meta": b"x"}, {"meta": "is made of the tags of a Node; give tags"}),
    ({"tags": {"a": 1}}, {"tags": "must be texts by their names, not 'a': 1"}),
    ({"tags": "role=web"}, {"tags": "must be texts by their names, not 'role=web'"}),
    ({"keyring_file": ""}, {"keyring_file": "must be a path, as text or from pathlib, not ''"}),
    (
        {"keyring_file": "ring", "key": bytes(16)},
        {"keyring_file": "give either keyring_file, or key or key_file, or plaintext"},
    ),
    (
        {"delegate_protocol_max": 6},
        {"delegate_protocol_min": "Serf's protocol versions are 2 to 5"},
    ),
    (
        {"coalesce_period": 3.0},
        {"quiescent_period": "give both coalesce_period and quiescent_period, or none of them"},
    ),
    (
        {"user_event_size_limit": 9217, "reap_interval": 0},
        {
            "user_event_size_limit": "must be 1 to 9216, not 9217",
            "reap_interval": "must be 0.001 to 86400 seconds, not 0",
        },
    ),
    (
        {"rejoin_after_leave": 1, "query_buffer": True},
        {
            "rejoin_after_leave": "must be True or False, not 1",
            "query_buffer": "must be a whole number, not True",
        },
    ),
]


@pytest.mark.parametrize(("fields", "problems"), BROKEN)
def test_every_fault_is_named(fields: dict[str, Any], problems: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        NodeConfig(**fields)
    assert caught.value.problems == problems


def test_the_defaults_are_serf_s() -> None:
    config = NodeConfig()
    settings = config.serf_settings()
    assert settings["event_buffer"] == settings["query_buffer"] == 512
    assert settings["user_event_size_limit"] == 512
    assert settings["query_size_limit"] == settings["query_response_size_limit"] == 1024
    assert settings["broadcast_timeout_ns"] == 5_000_000_000
    assert settings["tombstone_timeout_ns"] == 86_400_000_000_000
    assert config.settings()["delegate_protocol_version"] == 4
    assert config.settings()["report_pings"] == 1
    assert NodeConfig(disable_coordinates=True).settings()["report_pings"] == 0


def test_the_profiles_are_memberlist_s() -> None:
    for ours, theirs in (
        (NodeConfig.lan(), Config.lan()),
        (NodeConfig.wan(), Config.wan()),
        (NodeConfig.local(), Config.local()),
    ):
        assert ours.probe_interval == theirs.probe_interval
        assert ours.gossip_interval == theirs.gossip_interval
    assert NodeConfig.wan(gossip_interval=0.1, tags={"a": "b"}).gossip_interval == 0.1


def test_what_was_checked_does_not_change() -> None:
    tags = {"role": "web"}
    config = NodeConfig(tags=tags)
    tags["role"] = "x" * 600
    assert config.tags == {"role": "web"}
    assert isinstance(hash(config), int)


def test_tags_that_do_not_fit_are_a_fault_of_the_config() -> None:
    with pytest.raises(ConfigError, match="tags: Encoded length of tags exceeds limit of 512"):
        gossip.Node("a", tags={"role": "x" * 600})


def test_a_node_needs_a_config_of_its_own() -> None:
    with pytest.raises(gossip.ArgumentError, match="needs a NodeConfig, not a Config"):
        gossip.Node.from_config(Config(name="a"))
    node = gossip.Node.from_config(NodeConfig(name="a", tags={"role": "web"}))
    assert node.tags == {"role": "web"}
    assert gossip.Node().name == os.uname().nodename
