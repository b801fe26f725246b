# inspect.pxi: the codec's face to Python: packets as dictionaries.
#
# For `gossip decode`, tests and benchmarks. It shows what packet_open and the message tables found;
# there is no second decoder here. The form is that of the golden vectors (protocol README):
# byte strings are {"$hex": ...}, nil ones None, and `error` stands at the level that was rejected.

TYPE_NAMES = {
    MSG_PING: "ping", MSG_INDIRECT_PING: "indirectPing", MSG_ACK: "ackResp",
    MSG_SUSPECT: "suspect", MSG_ALIVE: "alive", MSG_DEAD: "dead", MSG_PUSH_PULL: "pushPull",
    MSG_COMPOUND: "compound", MSG_USER: "user", MSG_COMPRESS: "compress",
    MSG_ENCRYPT: "encrypt", MSG_NACK: "nackResp", MSG_HAS_CRC: "hasCrc", MSG_ERR: "err",
}

# What a person reads; reasons that are missing here are read by their name.
ERROR_TEXTS = {
    DROP_EMPTY: "empty packet",
    DROP_LABEL_EMPTY: "label header cannot be empty when present",
    DROP_LABEL_TRUNCATED: "cannot decode label; packet has been truncated",
    DROP_LABEL_MISMATCH: "label does not match the expected one",
    DROP_LABEL_UNEXPECTED: "unexpected label header",
    DROP_SEAL_VERSION: "unsupported encryption version",
    DROP_SEAL_TOO_SMALL: "payload is too small to decrypt",
    DROP_DECRYPT: "no installed keys could decrypt the message",
    DROP_PADDING: "bad padding",
    DROP_CRC: "bad checksum",
    DROP_NO_TYPE: "missing message type byte",
    DROP_UNKNOWN_TYPE: "unsupported type",
    DROP_COMPOUND_TRUNCATED: "truncated compound",
    DROP_COMPRESS_ALGORITHM: "cannot decompress unknown algorithm",
    DROP_LZW_INVALID: "lzw: invalid code",
    DROP_LZW_TRUNCATED: "unexpected EOF",
    DROP_INFLATED_TOO_LARGE: "decompressed data exceeds the limit",
    DROP_DECODE: "msgpack decode error",
}


cdef str error_text(int reason):
    return ERROR_TEXTS.get(reason, DROP_REASON_NAMES[reason].replace("_", " "))


cdef const message_t* message_of(int type_) noexcept:
    """The table of a type byte; NULL when its body is no map."""
    if type_ == MSG_PING:
        return &PING
    if type_ == MSG_INDIRECT_PING:
        return &INDIRECT_PING
    if type_ == MSG_ACK:
        return &ACK
    if type_ == MSG_SUSPECT:
        return &SUSPECT
    if type_ == MSG_ALIVE:
        return &ALIVE
    if type_ == MSG_DEAD:
        return &DEAD
    if type_ == MSG_COMPRESS:
        return &COMPRESS
    if type_ == MSG_NACK:
        return &NACK
    if type_ == MSG_ERR:
        return &ERR
    return NULL


cdef const message_t* message_named(str name) except NULL:
    """The table of a message by its name; the maps of streams have names of their own."""
    cdef const message_t* found = NULL
    if name == "pushPull":
        return &PUSH_PULL_HEADER
    if name == "pushNode":
        return &PUSH_NODE
    if name == "userHeader":
        return &USER_HEADER
    for type_, known in TYPE_NAMES.items():
        if known == name:
            found = message_of(type_)
    if found == NULL:
        raise ValueError(f"no message {name!r} whose body is a map")
    return found


# -- bodies

cdef union body_t:           # room for any message struct, aligned
    uint64_t[32] room
    indirect_ping_t largest


cdef object hex_of(slice_t s):
    return None if s.ptr == NULL else {"$hex": slice_bytes(s).hex()}


cdef str text_of(slice_t s):
    return slice_bytes(s).decode("utf-8", "replace")


cdef object field_value(const field_t* f, const void* at):
    if f.kind == KIND_STRING:
        return text_of((<const slice_t*>at)[0])
    if f.kind >= KIND_BYTES:
        return hex_of((<const slice_t*>at)[0])
    if f.kind == KIND_U64:
        return (<const uint64_t*>at)[0]
    if f.kind == KIND_U32:
        return (<const uint32_t*>at)[0]
    if f.kind == KIND_U16:
        return (<const uint16_t*>at)[0]
    if f.kind == KIND_I64:
        return (<const int64_t*>at)[0]
    if f.kind == KIND_BOOL:
        return (<const uint8_t*>at)[0] != 0
    return (<const uint8_t*>at)[0]


cdef dict body_of(const message_t* m, const void* value):
    """The fields that were on the wire."""
    cdef uint32_t present = (<const uint32_t*>value)[0]
    cdef dict body = {}
    cdef int i
    for i in range(m.count):
        if present >> i & 1:
            name = slice_bytes(field_name(&m.fields[i])).decode()
            body[name] = field_value(&m.fields[i], <const char*>value + m.fields[i].offset)
    return body


cdef void map_message(dict out, const message_t* m, slice_t body):
    """Decode a body into `out`: its `body`, or `error`."""
    cdef body_t value
    cdef int reason = decode_body(m, body, &value)
    if reason == DROP_NONE:
        out["body"] = body_of(m, &value)
    else:
        out["error"] = error_text(reason)


cdef int field_set(const field_t* f, void* at, object value, list kept) except -1:
    cdef slice_t* s = <slice_t*>at
    if f.kind >= KIND_STRING:
        if isinstance(value, str):
            value = value.encode()
        elif isinstance(value, dict):
            value = bytes.fromhex(value["$hex"])
        if value is None:
            s[0] = slice_nil()
        elif isinstance(value, bytes):
            kept.append(value)
            s[0] = slice_of(<const uint8_t*>PyBytes_AsString(value), len(<bytes>value))
        else:
            raise TypeError(f"bytes or str needed, not {type(value).__name__}")
    elif f.kind == KIND_U32:
        (<uint32_t*>at)[0] = value
    elif f.kind == KIND_U16:
        (<uint16_t*>at)[0] = value
    elif f.kind == KIND_U64:
        (<uint64_t*>at)[0] = value
    elif f.kind == KIND_I64:
        (<int64_t*>at)[0] = value
    elif f.kind == KIND_BOOL:
        (<uint8_t*>at)[0] = 1 if value else 0
    else:
        (<uint8_t*>at)[0] = value
    return 0


def encode_message(str name not None, dict body not None):
    """One message, type byte and map, byte for byte as memberlist encodes it (protocol §2, §4).

    `name` is one of TYPE_NAMES, or pushNode (a bare map) or userHeader; `body` is a dictionary as
    in the golden vectors, where missing fields are zero. Raises ValueError for an unknown name or
    field, TypeError for a value of another type, OverflowError for a number out of range.
    """
    return encode_table(message_named(name), name, body)


cdef bytes encode_table(const message_t* m, str name, dict body):
    """A message of a dictionary, whose missing fields are zero."""
    cdef body_t value
    cdef writer_t w
    cdef int i
    cdef list kept = []
    cdef set unknown = set(body)
    cdef size_t size = 256
    memset(&value, 0, sizeof(value))
    for i in range(m.count):
        key = slice_bytes(field_name(&m.fields[i])).decode()
        if key in body:
            unknown.discard(key)
            field_set(&m.fields[i], <char*>&value + m.fields[i].offset, body[key], kept)
    if unknown:
        raise ValueError(f"{name} has no field {sorted(unknown)[0]!r}")
    for part in kept:
        size += len(part)
    out = PyBytes_FromStringAndSize(NULL, size)
    w = writer_of(<uint8_t*>PyBytes_AsString(out), size)
    message_encode(m, &w, &value)
    return slice_bytes(writer_slice(&w))


# -- packets

cdef dict part_dict(const part_t* part, dict parent):
    """One listed message; puts itself where its parent wants it."""
    cdef dict out = {}
    cdef const message_t* m = message_of(part.type)
    if part.reason == DROP_NO_TYPE:
        out["error"] = error_text(DROP_NO_TYPE)
    else:
        out["type"] = part.type
        out["type_name"] = TYPE_NAMES.get(part.type, "unknown")
        if part.type == MSG_COMPRESS and part.reason != DROP_DECODE:
            map_message(out, m, part.body)
        if part.reason not in (DROP_NONE, DROP_PART_TRUNCATED):
            out["error"] = error_text(part.reason)
        elif part.type == MSG_COMPOUND:
            out["parts"] = None
            out["truncated"] = part.truncated
        elif part.type == MSG_USER:
            out["payload"] = {"$hex": slice_bytes(part.body).hex()}
        elif part.type != MSG_COMPRESS:
            map_message(out, m, part.body)
    if parent is None:
        pass
    elif parent["type"] == MSG_COMPRESS:
        parent["inner"] = out
    else:
        parent["parts"] = (parent["parts"] or []) + [out]
    return out


cdef dict seal_dict(const seal_t* seal):
    return {
        "version": seal.version,
        "nonce": (<const uint8_t*>seal.nonce)[:NONCE_BYTES].hex(),
        "tag": (<const uint8_t*>seal.tag)[:TAG_BYTES].hex(),
    }


cdef dict packet_dict(const opened_t* o, int reason):
    """What packet_open found."""
    cdef list made = []
    cdef uint32_t i
    cdef dict out = {
        "label": text_of(o.label) if o.label.len else None,
        "encryption": None,
        "crc32": o.crc if o.has_crc else None,
    }
    if o.seal.present and reason in (DROP_NONE, DROP_CRC):
        out["encryption"] = seal_dict(&o.seal)
    if reason != DROP_NONE:
        out["error"] = error_text(reason)
        return out
    for i in range(o.count):
        parent = made[o.parts[i].parent] if o.parts[i].parent >= 0 else None
        made.append(part_dict(&o.parts[i], parent))
    out["message"] = made[0]
    return out


cdef object aead_from(object key):
    """The AEAD of a key given as 16, 24 or 32 bytes; anything else is taken for an AEAD."""
    if not isinstance(key, bytes):
        return key
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    return AESGCM(key)


@cython.final
cdef class Envelope:
    """What a node wraps its messages in and expects around those of others.

    `keys` are in ring order, the first one primary: each the bytes of an AES key, a Cipher, or an
    AEAD object with `encrypt(nonce, data, aad)` and `decrypt(nonce, data, aad)`. `refill(n)`
    returns n unpredictable bytes for nonces and is needed only to seal.
    """
    cdef envelope_t envelope
    cdef opened_t* opened
    cdef nonces_t nonces
    cdef replay_t replays
    cdef tuple keys
    cdef object refill

    def __cinit__(self):
        replay_init(&self.replays, 0)
        self.opened = opened_new()
        if self.opened == NULL:
            raise MemoryError

    def __dealloc__(self):
        replay_free(&self.replays)
        opened_free(self.opened)

    def __init__(self, *, keys=(), bytes label not None=b"", refill=None, int seal_version=1,
                 bint compression=False, bint verify_incoming=True, bint verify_outgoing=True,
                 bint skip_inbound_label_check=False, bint refuse_replays=False):
        cdef envelope_t* e = &self.envelope
        cdef nonce_source_t source
        cdef uint32_t i
        memset(e, 0, sizeof(envelope_t))
        self.keys = tuple([aead_from(key) for key in keys])
        self.refill = refill
        if len(self.keys) > KEYS_MAX:
            raise ValueError(f"at most {KEYS_MAX} keys")
        if len(label) > LABEL_BYTES_MAX:
            raise ValueError(f"a label has at most {LABEL_BYTES_MAX} bytes")
        if seal_version not in (0, 1):
            raise ValueError("the seal version is 0 or 1")
        e.label_len = <uint8_t>len(label)
        memcpy(e.label, PyBytes_AsString(label), len(label))
        e.skip_inbound_label_check = skip_inbound_label_check
        e.verify_incoming = verify_incoming
        e.verify_outgoing = verify_outgoing
        e.compression = compression
        e.seal_version = <uint8_t>seal_version
        e.key_count = <uint32_t>len(self.keys)
        for i in range(e.key_count):
            e.keys[i] = aead_of(self.keys[i])
        if refill is not None:
            source = nonce_source_of(refill)
            nonces_init(&self.nonces, source.fill, source.ctx)
            e.nonces = &self.nonces
        if refuse_replays:
            e.replay = &self.replays

    def decode(self, bytes data not None):
        """A datagram as a dictionary in the form of the golden vectors' `decoded`."""
        cdef size_t n = len(data)
        # An exact copy: a sanitizer build sees a read behind it.
        cdef uint8_t* copy = <uint8_t*>malloc(n if n else 1)
        if copy == NULL:
            raise MemoryError
        try:
            memcpy(copy, PyBytes_AsString(data), n)
            reason = packet_open(&self.envelope, self.opened, slice_of(copy, n))
            return packet_dict(self.opened, reason)
        finally:
            opened_clear(self.opened)
            free(copy)

    def encode(self, bytes message not None, *, bint crc=False):
        """The datagram that carries one message. Raises ValueError when it cannot be made."""
        cdef slot_t slot
        cdef writer_t w
        cdef uint8_t* room
        cdef int reason
        memset(&slot, 0, sizeof(slot))
        slot.cap = <uint32_t>(len(message) + LABEL_BYTES_MAX + 64)
        room = <uint8_t*>malloc(slot.cap)
        if room == NULL:
            raise MemoryError
        try:
            slot.data = room
            w = packet_begin(&self.envelope, &slot)
            writer_bytes(&w, <const uint8_t*>PyBytes_AsString(message), len(message))
            reason = packet_finish(&self.envelope, self.opened, &slot, &w, crc)
            if reason != DROP_NONE:
                raise ValueError(f"no packet: {error_text(reason)}")
            return slice_bytes(slice_of(slot.data, slot.len))
        finally:
            free(room)

    def overhead(self, *, bint gossip):
        """Bytes of a packet's budget that label and seal may take (protocol §13)."""
        return packet_overhead(&self.envelope, gossip)


def decode_packet(bytes data not None, *, keys=(), bytes label not None=b""):
    """One datagram as a dictionary in the form of the golden vectors' `decoded`.

    `keys` and `label` are the receiver's, as for Envelope. Never raises for what the datagram
    holds: `error` stands at the level that was rejected.
    """
    return Envelope(keys=keys, label=label).decode(data)


# -- LZW by itself

def lzw_compress(bytes data not None):
    """LZW as in a type 9 message (protocol §6.1)."""
    cdef size_t bound = lzw_bound(len(data))
    cdef writer_t w
    cdef opened_t* o = opened_new()
    if o == NULL:
        raise MemoryError
    out = PyBytes_FromStringAndSize(NULL, bound)
    w = writer_of(<uint8_t*>PyBytes_AsString(out), bound)
    lzw_encode(slice_of(<const uint8_t*>PyBytes_AsString(data), len(data)), &w, &o.lzw)
    opened_free(o)
    return slice_bytes(writer_slice(&w))


def lzw_decompress(bytes data not None, *, size_t limit=STREAM_INFLATED_MAX):
    """The inverse of lzw_compress. Raises ValueError for bad data or more than `limit` bytes."""
    cdef buffer_t plain
    cdef int reason
    cdef opened_t* o = opened_new()
    if o == NULL:
        raise MemoryError
    buffer_init(&plain)
    try:
        reason = lzw_decode(slice_of(<const uint8_t*>PyBytes_AsString(data), len(data)), &plain,
                            limit, &o.lzw)
        if reason != DROP_NONE:
            raise ValueError(error_text(reason))
        return slice_bytes(buffer_slice(&plain))
    finally:
        buffer_free(&plain)
        opened_free(o)
