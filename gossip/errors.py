"""Every error a caller can see; no behaviour beyond a clear text.

Bad packets are never here: they are counted (see `Memberlist.stats`). An error says what broke and
what to do about it, and the call that raised it changed nothing unless its text says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gossip.reports import JoinReport, KeyReport


class GossipError(Exception):
    """The base of all errors of this library."""


class ConfigError(GossipError, ValueError):
    """A configuration cannot be used; `problems` maps each broken field to its fault."""

    problems: Mapping[str, str]

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = MappingProxyType(dict(problems))
        lines = [f"  {field}: {text}" for field, text in problems.items()]
        super().__init__("\n".join(["this configuration cannot be used:", *lines]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[dict[str, str]]]:
        return type(self), (dict(self.problems),)


class KeyringError(GossipError, ValueError):
    """A gossip key or a change of the keyring was refused; the keyring is unchanged."""


class ArgumentError(GossipError, ValueError):
    """An argument of a call breaks a rule of the protocol (too long, empty, out of range)."""


class BindError(GossipError, OSError):
    """The sockets of a node could not be opened (port in use, address not of this machine)."""


class StateError(GossipError, RuntimeError):
    """The call does not fit the state of the node: not started, left, or used twice."""


class ClosedError(StateError):
    """The node is closed, or was closed while the call waited."""


class WrongLoopError(StateError):
    """The node was used from another thread or event loop than the one that started it."""


class ForkedError(StateError):
    """The node was started before a fork and is used in the child, where it does not run."""


class TimeoutExpired(GossipError, TimeoutError):
    """The time given by `timeout=`, or the protocol's own limit, passed without a result."""


class UnknownMemberError(GossipError, LookupError):
    """No member of that name is known."""


class RequestError(GossipError):
    """The protocol could not carry out what was asked; the text is the cause."""


class JoinError(GossipError, ConnectionError):
    """No seed could be reached; `report` says for every seed and address why."""

    report: JoinReport

    def __init__(self, report: JoinReport) -> None:
        self.report = report
        super().__init__(f"no seed was reached:\n{report}")

    def __reduce__(self) -> tuple[type[JoinError], tuple[JoinReport]]:
        return type(self), (self.report,)


class KeyQueryError(GossipError):
    """Some members did not change their keys as asked; `report` says which and why."""

    report: KeyReport

    def __init__(self, report: KeyReport) -> None:
        self.report = report
        super().__init__(str(report))

    def __reduce__(self) -> tuple[type[KeyQueryError], tuple[KeyReport]]:
        return type(self), (self.report,)
