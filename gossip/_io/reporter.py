"""One log line per change of state, with its cause, at a bounded rate for each kind of line."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from gossip._io import bounds
from gossip._io.rates import Bucket
from gossip.events import (
    Event,
    LoopLagged,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberRefuted,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    PartitionHealed,
)


def printable(text: str) -> str:
    """What a peer chose, fit for one line of a log or an error: all else is escaped."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def listed(names: Sequence[str]) -> str:
    """Some names and how many more there are."""
    more = len(names) - bounds.NAMES_LOGGED
    text = ", ".join(names[: bounds.NAMES_LOGGED]) or "none"
    return text if more <= 0 else f"{text} and {more} more"


class Reporter:
    """Writes to the logger `gossip`; installs no handler. A peer cannot make it write much."""

    def __init__(self, node: str) -> None:
        self._log = logging.getLogger("gossip")
        self._node = node
        self._buckets: defaultdict[str, Bucket] = defaultdict(
            lambda: Bucket(bounds.LOG_BURST, bounds.LOG_LINES_PER_SECOND)
        )
        self.suppressed = 0

    def report(self, event: Event, now: float) -> None:
        """The line of an event about membership or a late loop; other events have none."""
        match event:
            case MemberJoined(member) if member.name == self._node:
                pass  # its start was told
            case MemberJoined(member):
                self.write(
                    logging.INFO, "joined", now, "%s joined, at %s", member.name, member.address
                )
            case MemberUpdated(member):
                self.write(logging.INFO, "updated", now, "%s changed its metadata", member.name)
            case MemberSuspected(member, by):
                text = "%s is suspected by %s"
                self.write(logging.INFO, "suspected", now, text, member.name, by)
            case MemberRefuted(member):
                self.write(logging.INFO, "refuted", now, "%s refuted the suspicion", member.name)
            case MemberFailed(member, by, confirmations, suspect_for):
                text = "%s failed: suspected by %s %.1f s ago, confirmed by %d more"
                if suspect_for == 0.0:
                    self.write(
                        logging.WARNING,
                        "failed",
                        now,
                        "%s failed: announced by %s",
                        member.name,
                        by,
                    )
                else:
                    self.write(
                        logging.WARNING,
                        "failed",
                        now,
                        text,
                        member.name,
                        by,
                        suspect_for,
                        confirmations,
                    )
            case MemberLeft(member):
                self.write(logging.INFO, "left", now, "%s left", member.name)
            case LoopLagged(seconds):
                text = "the event loop was %.2f s late"
                self.write(logging.WARNING, "lagged", now, text, seconds)
            case PartitionHealed(lost, regained):
                missing = sorted(set(lost) - set(regained))
                text = "a partition healed: %d of %d lost members are back: %s; still lost: %s"
                back = len(regained), len(lost), listed(regained), listed(missing)
                self.write(logging.WARNING, "healed", now, text, *back)
            case NameConflict(existing, address):
                text = "the name %s is used twice: by the node at %s and by another at %s"
                self.write(
                    logging.ERROR, "conflict", now, text, existing.name, existing.address, address
                )

    def write(self, level: int, kind: str, now: float, text: str, *arguments: object) -> None:
        """A line, unless its kind came too often; then the next one says how many were left out."""
        if not self._log.isEnabledFor(level):
            return
        bucket = self._buckets[kind]
        if not bucket.take(now):
            self.suppressed += 1
            return
        refused = bucket.take_refused()
        if refused:
            text += " (%d more such lines were left out)"
            arguments += (refused,)
        arguments = tuple(printable(each) if isinstance(each, str) else each for each in arguments)
        extra = {"gossip_node": self._node, "gossip_event": kind}
        self._log.log(level, "%s: " + text, self._node, *arguments, extra=extra)
