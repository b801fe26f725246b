# messages.pxi: the messages, and one table of fields for each (protocol §1, §4, §10).
#
# A table drives decoding and encoding (maps.pxi) and inspection. Values are not judged here: a name
# may be empty and an address of any length.

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize, PyBytes_Size


cdef enum MessageType:
    MSG_PING = 0
    MSG_INDIRECT_PING = 1
    MSG_ACK = 2
    MSG_SUSPECT = 3
    MSG_ALIVE = 4
    MSG_DEAD = 5
    MSG_PUSH_PULL = 6
    MSG_COMPOUND = 7
    MSG_USER = 8
    MSG_COMPRESS = 9
    MSG_ENCRYPT = 10
    MSG_NACK = 11
    MSG_HAS_CRC = 12
    MSG_ERR = 13
    MSG_LABEL = 244
    MSG_BARE = 255          # not on the wire: a map without a type byte, such as a push/pull node

cdef enum FieldKind:
    KIND_U8
    KIND_U16
    KIND_U32
    KIND_U64
    KIND_I64
    KIND_BOOL
    KIND_STRING             # nil reads and writes as empty
    KIND_BYTES              # nil stays nil
    KIND_VALUE              # any value, as it is encoded

# Every struct begins with `present`: bit i is set when field i, in wire order, was on the wire.
# Lengths of `target`, `addr` and `source_addr` are the sender's; 4 and 16 are sane.

cdef struct ping_t:
    uint32_t present
    uint32_t seq_no
    slice_t node
    slice_t source_addr
    uint16_t source_port
    slice_t source_node

cdef struct indirect_ping_t:
    uint32_t present
    uint32_t seq_no
    slice_t target
    uint16_t port           # 0: the helper's own bind port
    slice_t node
    uint8_t nack
    slice_t source_addr
    uint16_t source_port
    slice_t source_node

cdef struct ack_t:
    uint32_t present
    uint32_t seq_no
    slice_t payload

cdef struct nack_t:
    uint32_t present
    uint32_t seq_no

cdef struct claim_t:        # suspect and dead
    uint32_t present
    uint32_t incarnation
    slice_t node
    slice_t from_           # the accuser; in dead, equal to node when it leaves of its own will

cdef struct alive_t:
    uint32_t present
    uint32_t incarnation
    slice_t node
    slice_t addr
    uint16_t port           # 0: the receiver's own bind port
    slice_t meta
    slice_t vsn

cdef struct push_pull_header_t:
    uint32_t present
    int64_t nodes
    int64_t user_state_len
    uint8_t join

cdef struct push_node_t:
    uint32_t present
    slice_t name
    slice_t addr
    uint16_t port
    slice_t meta
    uint32_t incarnation
    int64_t state
    slice_t vsn

cdef struct user_header_t:
    uint32_t present
    int64_t user_msg_len

cdef struct compress_t:
    uint32_t present
    uint8_t algo
    slice_t buf

cdef struct err_t:
    uint32_t present
    slice_t error

cdef struct field_t:
    key_t key
    uint8_t kind
    bint optional           # left out when zero or empty
    size_t offset           # within the struct

cdef struct message_t:
    uint8_t type            # what stands before the map; MSG_BARE: nothing
    uint8_t count
    uint8_t[12] declared    # in declaration order, which fields: the order of a struct as an array
    size_t size             # of the struct
    field_t[12] fields      # in wire order: by name


# -- the tables

cdef void message_begin(message_t* m, int type_, size_t size) noexcept:
    memset(m, 0, sizeof(message_t))
    m.type = <uint8_t>type_
    m.size = size


cdef void message_field(message_t* m, const void* base, bytes name, const void* member,
                        int kind, bint optional=False) noexcept:
    """Declare the next field; the table keeps itself in wire order."""
    cdef field_t f
    cdef bytes wire = bytes([0xA0 | len(name)]) + name
    cdef size_t n = len(wire)
    cdef uint32_t i, at = m.count
    memset(&f, 0, sizeof(field_t))
    memcpy(f.key.word, PyBytes_AsString(wire), n)
    memset(f.key.mask, 0xFF, n)
    f.key.len = <uint8_t>n
    f.kind = <uint8_t>kind
    f.optional = optional
    f.offset = <size_t>(<const char*>member - <const char*>base)
    while at > 0 and memcmp(field_name(&f).ptr, field_name(&m.fields[at - 1]).ptr, 15) < 0:
        m.fields[at] = m.fields[at - 1]
        at -= 1
    m.fields[at] = f
    for i in range(m.count):
        if m.declared[i] >= at:
            m.declared[i] += 1
    m.declared[m.count] = <uint8_t>at
    m.count += 1


cdef inline slice_t field_name(const field_t* f) noexcept nogil:
    return slice_from(slice_of(<const uint8_t*>f.key.word, f.key.len), 1)


cdef message_t PING, INDIRECT_PING, ACK, NACK, SUSPECT, DEAD, ALIVE
cdef message_t PUSH_PULL_HEADER, PUSH_NODE, USER_HEADER, COMPRESS, ERR


cdef void define_pings() noexcept:
    cdef ping_t p
    cdef indirect_ping_t i
    message_begin(&PING, MSG_PING, sizeof(p))
    message_field(&PING, &p, b"SeqNo", &p.seq_no, KIND_U32)
    message_field(&PING, &p, b"Node", &p.node, KIND_STRING)
    message_field(&PING, &p, b"SourceAddr", &p.source_addr, KIND_BYTES, True)
    message_field(&PING, &p, b"SourcePort", &p.source_port, KIND_U16, True)
    message_field(&PING, &p, b"SourceNode", &p.source_node, KIND_STRING, True)
    message_begin(&INDIRECT_PING, MSG_INDIRECT_PING, sizeof(i))
    message_field(&INDIRECT_PING, &i, b"SeqNo", &i.seq_no, KIND_U32)
    message_field(&INDIRECT_PING, &i, b"Target", &i.target, KIND_BYTES)
    message_field(&INDIRECT_PING, &i, b"Port", &i.port, KIND_U16)
    message_field(&INDIRECT_PING, &i, b"Node", &i.node, KIND_STRING)
    message_field(&INDIRECT_PING, &i, b"Nack", &i.nack, KIND_BOOL)
    message_field(&INDIRECT_PING, &i, b"SourceAddr", &i.source_addr, KIND_BYTES, True)
    message_field(&INDIRECT_PING, &i, b"SourcePort", &i.source_port, KIND_U16, True)
    message_field(&INDIRECT_PING, &i, b"SourceNode", &i.source_node, KIND_STRING, True)


cdef void define_replies() noexcept:
    cdef ack_t a
    cdef nack_t n
    cdef err_t e
    message_begin(&ACK, MSG_ACK, sizeof(a))
    message_field(&ACK, &a, b"SeqNo", &a.seq_no, KIND_U32)
    message_field(&ACK, &a, b"Payload", &a.payload, KIND_BYTES)
    message_begin(&NACK, MSG_NACK, sizeof(n))
    message_field(&NACK, &n, b"SeqNo", &n.seq_no, KIND_U32)
    message_begin(&ERR, MSG_ERR, sizeof(e))
    message_field(&ERR, &e, b"Error", &e.error, KIND_STRING)


cdef void define_claim(message_t* m, int type_) noexcept:
    cdef claim_t c
    message_begin(m, type_, sizeof(c))
    message_field(m, &c, b"Incarnation", &c.incarnation, KIND_U32)
    message_field(m, &c, b"Node", &c.node, KIND_STRING)
    message_field(m, &c, b"From", &c.from_, KIND_STRING)


cdef void define_alive() noexcept:
    cdef alive_t a
    message_begin(&ALIVE, MSG_ALIVE, sizeof(a))
    message_field(&ALIVE, &a, b"Incarnation", &a.incarnation, KIND_U32)
    message_field(&ALIVE, &a, b"Node", &a.node, KIND_STRING)
    message_field(&ALIVE, &a, b"Addr", &a.addr, KIND_BYTES)
    message_field(&ALIVE, &a, b"Port", &a.port, KIND_U16)
    message_field(&ALIVE, &a, b"Meta", &a.meta, KIND_BYTES)
    message_field(&ALIVE, &a, b"Vsn", &a.vsn, KIND_BYTES)


cdef void define_stream_parts() noexcept:
    cdef push_pull_header_t h
    cdef push_node_t n
    cdef user_header_t u
    cdef compress_t c
    message_begin(&PUSH_PULL_HEADER, MSG_PUSH_PULL, sizeof(h))
    message_field(&PUSH_PULL_HEADER, &h, b"Nodes", &h.nodes, KIND_I64)
    message_field(&PUSH_PULL_HEADER, &h, b"UserStateLen", &h.user_state_len, KIND_I64)
    message_field(&PUSH_PULL_HEADER, &h, b"Join", &h.join, KIND_BOOL)
    message_begin(&PUSH_NODE, MSG_BARE, sizeof(n))
    message_field(&PUSH_NODE, &n, b"Name", &n.name, KIND_STRING)
    message_field(&PUSH_NODE, &n, b"Addr", &n.addr, KIND_BYTES)
    message_field(&PUSH_NODE, &n, b"Port", &n.port, KIND_U16)
    message_field(&PUSH_NODE, &n, b"Meta", &n.meta, KIND_BYTES)
    message_field(&PUSH_NODE, &n, b"Incarnation", &n.incarnation, KIND_U32)
    message_field(&PUSH_NODE, &n, b"State", &n.state, KIND_I64)
    message_field(&PUSH_NODE, &n, b"Vsn", &n.vsn, KIND_BYTES)
    message_begin(&USER_HEADER, MSG_USER, sizeof(u))
    message_field(&USER_HEADER, &u, b"UserMsgLen", &u.user_msg_len, KIND_I64)
    message_begin(&COMPRESS, MSG_COMPRESS, sizeof(c))
    message_field(&COMPRESS, &c, b"Algo", &c.algo, KIND_U8)
    message_field(&COMPRESS, &c, b"Buf", &c.buf, KIND_BYTES)


define_pings()
define_replies()
define_claim(&SUSPECT, MSG_SUSPECT)
define_claim(&DEAD, MSG_DEAD)
define_alive()
define_stream_parts()
