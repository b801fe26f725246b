"""The protocol core: one translation unit, in layers; each file uses only what stands above it.

No socket, clock, operating system randomness, lock or logging lives here: `now_ns` and `seed` are
arguments. All of the packet path is C without the GIL; Python objects appear only in the shell.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT16_MAX, UINT32_MAX, UINT64_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen

cimport cython

include "core/limits.pxi"           # every bound of the core; what a packet is dropped for
include "core/planted.pxi"          # bugs that a build for tests can be told to have
include "core/hash.pxi"             # keyed hashing of names
include "core/cursor.pxi"           # bounded reading and writing of wire bytes
include "core/buffer.pxi"           # a growable run of bytes
include "core/large.pxi"            # large buffers: kept for the next, or given back in pieces
include "core/pages.pxi"            # numbered items in pages: growing copies nothing
include "core/map.pxi"              # a hash map that grows one bucket at a time
include "core/address.pxi"          # addresses, comparisons, allowed networks
include "core/rng.pxi"              # the seeded random numbers
include "core/msgpack.pxi"          # the msgpack dialect of the wire
include "core/lzw.pxi"              # LZW exactly as the wire has it
include "core/messages.pxi"         # the messages, and a table of fields for each
include "core/maps.pxi"             # messages as msgpack maps, both directions
include "core/serf_messages.pxi"    # the messages of Serf, which user messages carry
include "core/crc.pxi"              # CRC-32
include "core/aead.pxi"             # sealing and opening through function pointers; nonces; replays
include "core/packet.pxi"           # the envelopes of a datagram, both directions
include "core/versions.pxi"         # whether the versions of a pool fit together
include "core/stream_reader.pxi"    # the state of reading a stream; the nodes of a push/pull
include "core/stream.pxi"           # the same for streams, read as the bytes come in
include "core/stream_write.pxi"     # a message in the envelopes of a stream
include "core/inspect.pxi"          # the codec's face to Python: packets as dictionaries
include "core/inspect_stream.pxi"   # the same for streams
include "core/pack.pxi"             # Python values as msgpack, for what only Python sends
include "core/serf_inspect.pxi"     # Serf's messages as dictionaries
include "core/timers.pxi"           # one heap of deadlines
include "core/awareness.pxi"        # Lifeguard's local health score
include "core/suspicion.pxi"        # suspicion timers and the formulas of time
include "core/merge.pxi"            # the rules: claim and state in, verdict out
include "core/identity.pxi"         # who a member is, stored once for all tables of a process
include "core/table.pxi"            # the member table: rows, order, random choice
include "core/broadcasts.pxi"       # the transmit-limited queue
include "core/lamport.pxi"          # Lamport clocks
include "core/dedup.pxi"            # what was seen at which Lamport time
include "core/intents.pxi"          # what was said about names that are no members yet
include "core/serf_table.pxi"       # the members that Serf remembers
include "core/faces.pxi"            # thin Python faces of the layers above, for their tests
include "core/events.pxi"           # what the core tells its user
include "core/swim.pxi"             # the state of one node, and the acts that all parts share
include "core/admission.pxi"        # which claims may be looked at
include "core/heal.pxi"             # failed members that are remembered, and who came back
include "core/claims.pxi"           # alive, suspect, dead: asks merge, carries the verdict out
include "core/gossip.pxi"           # piggybacking and the gossip round
include "core/push_pull.pxi"        # the whole table, written and merged
include "core/session_table.pxi"    # the streams under way: how many, and how many bytes they hold
include "core/sessions.pxi"         # one request and one reply on a stream
include "core/redial.pxi"           # lost members are called, slowly
include "core/probe.pxi"            # failure detection, and the duties to the probes of others
include "core/requests.pxi"         # what the user asks for
include "core/dispatch.pxi"         # where packets and time come in
include "core/serf.pxi"             # the state of the Serf layer, and the acts its parts share
include "core/serf_asking.pxi"      # the books of own queries
include "core/serf_members.pxi"     # statuses: who is there, and who means to go
include "core/serf_events.pxi"      # user events
include "core/serf_queries.pxi"     # queries, their replies, and replies carried for others
include "core/serf_state.pxi"       # the user state of a push/pull
include "core/serf_leaving.pxi"     # leaving, and making others leave
include "core/serf_upkeep.pxi"      # what time does: reaping, reconnecting, checking queues
include "core/serf_dispatch.pxi"    # where memberlist calls the Serf layer
include "core/serf_views.pxi"       # Python objects from the Serf layer
include "core/views.pxi"            # Python objects from rows, events and commands
include "core/lock.pxi"             # the lock of a core that a thread enters as well
include "core/making.pxi"           # what a Swim is made of and how it is taken apart
include "core/shell.pxi"            # the class Swim
include "core/serf_shell.pxi"       # the class Serf
include "core/outside.pxi"          # what a driver in C needs beside packets and time
