# limits.pxi: every bound of the core, and every reason a packet is dropped for. Nothing else.
#
# The memberlist column of protocol §25 gives the wire's own limits; where ours is tighter the
# comment says why. docs/limits.md explains each to users.

cdef enum:
    # Names and metadata.
    NAME_BYTES_MAX = 255             # memberlist has none; a name must fit a log line and a row
    NAME_SERF_BYTES_MAX = 128        # under the name rule of Serf
    META_BYTES_MAX = 512             # protocol §25
    VSN_BYTES_MAX = 16               # six are meant; longer ones are kept as received up to here
    CLAIM_BYTES_MAX = 2048           # an encoded claim or state entry: names, metadata, keys
    LABEL_BYTES_MAX = 255            # protocol §8

    # One datagram.
    DATAGRAM_BYTES_MAX = 65536       # protocol §3
    PARTS_MAX = 1024                 # parts of all compounds of one datagram, nested ones included
    COMPOUND_PARTS_MAX = 255         # protocol §5
    PACK_PARTS_MAX = 4096            # messages collected for one destination
    DEPTH_MAX = 8                    # envelopes within envelopes; memberlist has none
    INFLATED_BYTES_MAX = 1 << 17     # decompressed bytes of one datagram, all levels together
    MSGPACK_DEPTH_MAX = 1024         # protocol §2.2
    OCTETS_MAX = 4096                # bytes of a string sent as an array of numbers, §2.2

    # What Python packs for the wire.
    PACK_BYTES_MAX = 65536           # nothing of it is longer than a datagram
    PACK_DEPTH_MAX = 8

    # One stream.
    STREAM_SEALED_MAX = 20971520     # protocol §25
    STREAM_INFLATED_MAX = 41943040
    STREAM_NODES_MAX = 1048576
    STREAM_USER_STATE_MAX = 20971520
    STREAM_USER_MESSAGE_MAX = 20971520
    STREAMS_INBOUND_MAX = 127        # protocol §10.3
    STREAMS_FREE_MAX = 112           # of these, whoever has how many; of the rest
    STREAMS_SOURCE_MIN = 4           # an address gets one only if it has fewer than this
    STREAMS_MAX = 512                # both directions
    STREAM_GRANT_BYTES = 1 << 18     # held by an inbound stream without being counted
    STREAMS_BYTES_MAX = 1 << 27      # held by all inbound streams beyond that
    STREAMS_SOURCE_BYTES_MAX = 3 << 24    # received by those of one address and held

    # Keys.
    KEYS_MAX = 32
    REPLAY_WINDOW = 16384            # nonces a generation; two generations are kept
    NONCE_BLOCK = 256                # nonces drawn from the system at once

    # Work: a unit is about 15 ns. No entry does more of what can wait than a slice of it.
    WORK_SLICE = 3000
    WORK_PACKET = 20                 # a datagram opened
    WORK_TIMER = 50                  # a timer that fires
    WORK_ROW = 6                     # a row, an entry or a message looked at
    WORK_CHANGE = 200                # an entry that changes a row: claims, events, broadcasts
    WORK_ENTRY = 4                   # an entry written
    WORK_MERGE = 20                  # a status time of Serf's merged
    WORK_PIECE = 2000                # a piece of a stream handed to the driver
    SCANNED_PER_WORK = 16            # bytes of Serf's state looked through
    PLAIN_PER_WORK = 4               # bytes compressed
    INFLATED_PER_WORK = 8            # bytes decompressed
    CIPHERED_PER_WORK = 32           # bytes sealed or opened
    COPIED_PER_WORK = 32             # bytes of what follows the entries, copied
    CIPHER_PIECE_BYTES = 16384       # of a long text, sealed or opened at once
    STREAM_PIECE_BYTES = 16384
    RELEASE_BYTES = 1 << 19          # memory given back at once
    SPARE_BUFFERS = 2                # large buffers kept for the next stream
    SPARE_BYTES_MAX = 1 << 22        # each of them

    # Members and the state machine.
    MEMBERS_MAX = 1 << 20
    PENDING_MAX = 1024               # names that wait for accept_member; and as many refused ones
    SUSPICION_CONFIRMATIONS_MAX = 32
    BROADCAST_BYTES_MAX = 65535
    BROADCASTS_MAX = 1 << 20
    BROADCAST_TIERS_MAX = 256        # an item sent so often stays in the last tier
    PROTOCOL_VERSION_MIN = 1         # protocol §11
    PROTOCOL_VERSION_MAX = 5
    PROBE_ROWS_MAX = 512             # rows looked at for the next target; then none until next time
    PROBE_REMOVAL_ROWS = 4           # that one counts for which is forgotten on the way
    RANDOM_DRAWS_MAX = 2048          # to find random members of a kind
    INDIRECT_CHECKS_MAX = 64         # helpers of one probe, and destinations of one gossip round
    ERROR_TEXT_BYTES_MAX = 320       # what is kept of a peer's error text
    PENDING_ACKS_MAX = 1024          # relays for others, and own pings by hand
    RELAY_UNKNOWN_PER_SECOND = 16    # indirect pings to targets that are not members
    ADDRESS_ROWS_MAX = 4096          # rows looked at in one go for who has an address
    LOST_MAX = 1024                  # failed members that are remembered, to be called again
    EVENTS_MAX = 1 << 18             # about members; and as many messages
    EVENT_BYTES_MAX = 1 << 26        # payload bytes waiting for Python, of each of the two
    OUT_PACKETS_MAX = 512            # datagrams of one out batch
    OUT_BYTES_MAX = 1 << 20

    # Serf.
    USER_EVENT_BYTES_MAX = 9216      # Serf §10: name and payload, and the encoded message
    QUERY_BYTES_MAX = 9216           # a query as encoded; Serf has no limit for what comes in
    SERF_BUFFER_MAX = 65536          # slots of the event and of the query buffer
    MOMENT_MAX = 1024                # events, or queries, remembered of one Lamport time
    EVENTS_KEPT_BYTES_MAX = 1 << 22  # of the events that a push/pull hands on
    INTENTS_MAX = 16384              # recent intents about names that are no members
    QUERIES_ASKED_MAX = 1024         # own queries that run
    LEAVING_ASKED_MAX = 8            # members said to be leaving that one pass of the reaper asks
    QUERIES_HELD_MAX = 1024          # queries of others that wait for an answer
    VOTERS_EXTRA_MAX = 64            # names that answer one query beyond the members of its start
    RELAY_FACTOR_MAX = 255           # members that may carry one reply, by its format
    REPLIES_PER_SECOND = 1000        # acks and responses to the queries of others
    RELAYS_PER_SECOND = 500          # replies sent on, or given to others to send on
    STATE_EVENTS_MAX = 65536         # events merged from one push/pull
    STATE_MOMENT_BYTES_MAX = 1 << 20    # of the events of one Lamport time in it
    FORCED_LEAVES_MAX = 64           # that wait for their broadcast at the same time
    TOLD_DIRECTLY_MAX = 8            # transmissions at least, if there are as many others
    TURNS_MAX = 64                   # members of a pool in which destinations take strict turns
    BURST_PACKETS_MAX = 16           # packets to one destination in one gossip round

# Incarnations: a run starts at the seconds since the epoch below, as far as its clock is right, and
# none may get close to 2^32, where a node could no longer refute. So each is held to the reader's
# clock and so many seconds: what accuses others least, what this node would refute more, what
# others say of themselves most. An accusation that anybody believes can then be refuted, and the
# refutation is believed by all, if their clocks are 17 years apart or less. No start is above the
# least of the three, so that a clock that is wrong in any way keeps nobody out.
cdef enum:
    INCARNATION_EPOCH = 1735689600   # 2025 began, in Unix seconds
    INCARNATION_START_MAX = 1 << 30
    INCARNATION_AHEAD_ACCUSED = 1 << 30
    INCARNATION_AHEAD_OWN = 3 << 29
    INCARNATION_STEP_NOTED = 1 << 20 # a claim about us so far ahead of us is told
cdef uint32_t INCARNATION_AHEAD_ALIVE = 1 << 31

# A Lamport time learnt from others is believed up to the ceiling; above it, it may be ahead of the
# clock by the step only, and never the last one there is: a clock that wrapped would start anew.
cdef uint64_t LAMPORT_CEILING = 0x4000000000000000
cdef uint64_t LAMPORT_STEP_MAX = 1 << 20

cdef enum DropReason:
    DROP_NONE = 0
    # Envelopes (packet.pxi).
    DROP_EMPTY
    DROP_LABEL_EMPTY
    DROP_LABEL_TRUNCATED
    DROP_LABEL_MISMATCH
    DROP_LABEL_UNEXPECTED
    DROP_SEAL_VERSION
    DROP_SEAL_TOO_SMALL
    DROP_DECRYPT
    DROP_PADDING
    DROP_REPLAYED
    DROP_CRC
    DROP_NO_TYPE
    DROP_UNKNOWN_TYPE
    DROP_COMPOUND_TRUNCATED
    DROP_PART_TRUNCATED
    DROP_TOO_MANY_PARTS
    DROP_TOO_DEEP
    DROP_COMPRESS_ALGORITHM
    DROP_LZW_INVALID
    DROP_LZW_TRUNCATED
    DROP_INFLATED_TOO_LARGE
    DROP_SEAL                        # on the way out: no nonce, or the cipher failed
    # Bodies (messages.pxi).
    DROP_DECODE
    # The state machine (swim.pxi).
    DROP_PING_WRONG_NODE
    DROP_SOURCE_ADDRESS
    DROP_NAME
    DROP_META
    DROP_ADDRESS
    DROP_VSN
    DROP_CIDR
    DROP_INCARNATION_JUMP
    DROP_MEMBERS_FULL
    DROP_NEW_NAMES
    DROP_NOT_ACCEPTED
    DROP_ACK_UNKNOWN
    DROP_RELAYS_FULL
    DROP_RELAY_UNKNOWN_TARGET
    DROP_OUT_FULL
    DROP_NO_MEMORY
    # The Serf layer.
    DROP_SERF_TYPE
    DROP_LAMPORT_JUMP
    DROP_EVENT_TOO_LARGE
    DROP_QUERY_TOO_LARGE
    DROP_MOMENT_FULL
    DROP_RESPONSE_UNKNOWN
    DROP_VOTERS_FULL
    DROP_REPLY_FOREIGN
    DROP_REPLY_RATE
    DROP_RELAY_FOREIGN
    DROP_RELAY_RATE
    DROP_STATE_EVENTS
    DROP_REASONS

DROP_REASON_NAMES = (
    "none", "empty", "label_empty", "label_truncated", "label_mismatch", "label_unexpected",
    "seal_version", "seal_too_small", "decrypt", "padding", "replayed", "crc", "no_type",
    "unknown_type", "compound_truncated", "part_truncated", "too_many_parts", "too_deep",
    "compress_algorithm", "lzw_invalid", "lzw_truncated", "inflated_too_large", "seal", "decode",
    "ping_wrong_node", "source_address", "name", "meta", "address", "vsn", "cidr",
    "incarnation_jump", "members_full", "new_names", "not_accepted", "ack_unknown", "relays_full",
    "relay_unknown_target", "out_full", "no_memory", "serf_type", "lamport_jump",
    "event_too_large", "query_too_large", "moment_full", "response_unknown", "voters_full",
    "reply_foreign", "reply_rate", "relay_foreign", "relay_rate", "state_events",
)
assert len(DROP_REASON_NAMES) == DROP_REASONS
