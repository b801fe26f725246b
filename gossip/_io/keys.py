"""Where a node's gossip keys come from, and what may not be done without one."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from pathlib import Path, PurePath

from gossip.config import Config
from gossip.errors import ConfigError, KeyringError
from gossip.keys import parse_key, parse_keys
from gossip.node_config import NodeConfig

_log = logging.getLogger("gossip")


def find_keys(config: Config, environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """The keys in ring order: from the config, else from the environment; empty when plaintext.

    Raises ConfigError when a source holds no sound key, or when the bind address can be reached
    from other machines and there is neither a key nor `plaintext=True`.
    """
    keys = () if config.plaintext else _keys(config, environment)
    bind = config.bind_address
    if not keys and not ipaddress.ip_address(bind.host).is_loopback:
        if not config.plaintext:
            raise ConfigError(
                {
                    "bind": f"{bind} can be reached from other machines and there is no key: make "
                    "one with `gossip keygen` and give it as key_file or in GOSSIP_KEY, or allow "
                    "everybody to read and to forge with plaintext=True"
                }
            )
        _log.warning("%s is bound without a key: everybody can read and forge its messages", bind)
    return keys


def _keys(config: Config, environment: Mapping[str, str]) -> tuple[bytes, ...]:
    if isinstance(config, NodeConfig) and config.keyring_file is not None:
        return _from_file("keyring_file", config.keyring_file)
    if config.key is not None:
        return (parse_key(config.key) if isinstance(config.key, str) else config.key,)
    if config.key_file is not None:
        return _from_file("key_file", config.key_file)
    if environment.get("GOSSIP_KEY"):
        try:
            return (parse_key(environment["GOSSIP_KEY"]),)
        except KeyringError as error:
            raise ConfigError({"key": f"the environment variable GOSSIP_KEY: {error}"}) from None
    if environment.get("GOSSIP_KEY_FILE"):
        return _from_file("key_file", environment["GOSSIP_KEY_FILE"])
    return ()


def _from_file(field: str, path: str | PurePath) -> tuple[bytes, ...]:
    try:
        return parse_keys(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError({field: f"{path}: {error.strerror}"}) from error
    except UnicodeDecodeError:
        raise ConfigError({field: f"{path} is not text; it must hold base64 keys"}) from None
    except KeyringError as error:
        raise ConfigError({field: f"{path}: {error}"}) from None
