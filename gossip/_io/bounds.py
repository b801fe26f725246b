"""Every bound of the drivers. Those of the core stand in core/limits.pxi."""

from __future__ import annotations

from typing import Final

RECEIVE_BUFFER_BYTES: Final = 2 << 20
"""UDP receive buffer asked for; halved until the system agrees."""

RECEIVE_BUFFER_BYTES_MIN: Final = 64 << 10

BIND_ATTEMPTS: Final = 16
"""Tries to find one port that is free for TCP and for UDP, where bind asks for any."""

LISTEN_BACKLOG: Final = 256

THREAD_STOP_SECONDS: Final = 5.0
"""How long the end of the packet thread is waited for."""

PULSE_SECONDS: Final = 0.25
"""How often the event loop's lateness is looked at; more often for a short `app_stall_timeout`."""

LAG_WINDOW_SECONDS: Final = 60.0
"""How long the most that the loop was late is remembered, at most; at least half as long."""

CALL_GRACE_SECONDS: Final = 5.0
"""How much longer than its `timeout=` a blocking call waits for the node's thread to say so."""

LOOP_END_SECONDS: Final = 10.0
"""How long the end of a blocking node's thread is waited for."""

EVENTS_AHEAD: Final = 64
"""Events that a blocking subscription takes over from the node's thread at once."""

WRITE_PIECE_BYTES: Final = 256 << 10
"""What is handed to a transport at once; the rest waits until it has been taken."""

LINGER_SECONDS: Final = 2.0
"""How long a stream that we have written to its end waits for the peer to close it."""

LINGERING_MAX: Final = 128
"""Finished streams that may wait for their peers at once; further ones are closed without."""

REPLY_GRANT_BYTES: Final = 256 << 10
"""Bytes of a reply that may wait for their peer in any case."""

REPLIES_BYTES: Final = 128 << 20
"""Bytes of all replies that wait for their peers; a longer one that does not fit is cut off."""

JOINS_AT_ONCE: Final = 8
"""Addresses called at the same time during one join."""

ADMISSION_SECONDS: Final = 10.0
"""How long an `accept_member` may think about one name before the answer is no."""

KEY_CHANGES_WAITING: Final = 64
"""Key queries of a pool that wait for the keyring file; further ones are not answered."""

EVENTS_AT_ONCE: Final = 8
"""Events of the core that are handed on in one turn of the loop; the next turn goes on."""

EVENT_BYTES: Final = 64 << 20
"""Payload bytes that wait for one slow consumer before the oldest message is dropped."""

FACTS_MAX: Final = 1 << 18
"""Membership events and conflicts that wait for one slow consumer before a snapshot replaces them:
several for each of as many members as `max_members` allows by default."""

CONFLICT_INTERVAL_SECONDS: Final = 60.0
"""A name conflict with the same other address is reported this often at most."""

CONFLICTS_REMEMBERED: Final = 1024

NAMES_LOGGED: Final = 8
"""Names in a log line about many members."""

LOG_BURST: Final = 50
"""Log lines of one kind that may come at once, and how many a second after that."""

LOG_LINES_PER_SECOND: Final = 5.0
