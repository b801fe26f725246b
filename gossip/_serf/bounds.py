"""Every bound of Serf's layer that is not in the core."""

from __future__ import annotations

from typing import Final

PATTERN_BYTES: Final = 1024
"""A longer pattern of a filter matches nothing. Serf's own limit for a whole query is as much."""

PATTERN_MEMORY_BYTES: Final = 1 << 18
"""What one compiled pattern may take; one that needs more matches nothing."""

PATTERNS_KEPT: Final = 64
"""Compiled patterns kept for the next query."""

COALESCED_MAX: Final = 4096
"""Events that wait in one coalescer; then all of them are delivered early."""

DELIVERED_MAX: Final = 1 << 16
"""Members of which the member coalescer remembers what it delivered last."""

PLACES_MAX: Final = 1 << 16
"""Peers whose coordinates and round trips are kept; the ones heard of longest ago go first."""

SNAPSHOT_BYTES: Final = 1 << 28
"""A longer snapshot file is not read."""

SNAPSHOT_BUFFER_BYTES: Final = 1 << 20
"""Lines that wait for a slow disk; beyond it the file is written anew from what is known."""
