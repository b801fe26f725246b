# inspect_stream.pxi: the codec's face to Python for streams: dialogues as dictionaries.
#
# For tests, benchmarks and whoever looks at a captured stream. It feeds the node's own reader.

RESULT_NAMES = {STREAM_MORE: "more", STREAM_READY: "ready", STREAM_FAILED: "failed"}


cdef list nodes_of(stream_reader_t* r):
    """All nodes of a push/pull that is ready."""
    cdef push_node_t node
    cdef list out = []
    r.kept_next = 0
    while stream_next_node(r, &node) == 1:
        out.append(body_of(&PUSH_NODE, &node))
    r.kept_next = 0
    return out


cdef dict stream_dict(stream_reader_t* r):
    """What the reader found, in the form of the golden vectors."""
    cdef dict out = {
        "label": text_of(envelope_label(r.envelope)) if r.labelled else None,
        "encryption": None,
        "compressed": r.compressed,
    }
    if r.seal.present:
        out["encryption"] = seal_dict(&r.seal) | {"length": r.seal.length}
    if r.compressed:
        out["compressed_len"] = r.compressed_len
    if r.phase == PHASE_FAILED:
        out["error"] = (<const char*>r.error).decode()
    if r.phase != PHASE_READY:
        return out
    out["type"] = r.type
    out["type_name"] = TYPE_NAMES[r.type]
    if r.type == MSG_PUSH_PULL:
        out["header"] = body_of(&PUSH_PULL_HEADER, &r.header)
        out["nodes"] = nodes_of(r)
        out["user_state"] = {"$hex": slice_bytes(r.user).hex()}
    elif r.type == MSG_USER:
        out["header"] = {"UserMsgLen": r.header.user_state_len}
        out["user_msg"] = {"$hex": slice_bytes(r.user).hex()}
    else:
        map_message(out, message_of(r.type), r.body)
    return out


@cython.final
cdef class StreamReader:
    """Reads one request, or with `reply` one reply, of at most `limit` bytes (0: 40 MiB)."""
    cdef stream_reader_t* reader
    cdef Envelope envelope

    def __cinit__(self, Envelope envelope not None, *, bint reply=False, uint32_t limit=0):
        self.envelope = envelope
        self.reader = <stream_reader_t*>malloc(sizeof(stream_reader_t))
        if self.reader == NULL:
            raise MemoryError
        stream_reader_init(self.reader, &envelope.envelope, not reply, limit)

    def __dealloc__(self):
        if self.reader != NULL:
            stream_reader_free(self.reader)
            free(self.reader)

    def feed(self, bytes data not None):
        """Take received bytes: "more", "ready" or "failed"."""
        return RESULT_NAMES[stream_feed(
            self.reader, <const uint8_t*>PyBytes_AsString(data), <size_t>len(data))]

    def end(self):
        """The peer sends no more: "ready" or "failed"."""
        return RESULT_NAMES[stream_end(self.reader)]

    def decoded(self):
        """What was found so far, in the form of the golden vectors' `decoded`."""
        return stream_dict(self.reader)

    @property
    def reply_error(self):
        """After a failure: the text to answer with, or None to close without a reply."""
        if self.reader.phase == PHASE_FAILED and self.reader.reply_error:
            return (<const char*>self.reader.error).decode()
        return None


def encode_stream(Envelope envelope not None, bytes message not None, *, bint reply=False):
    """A message as written to a stream; the label header is the dialler's, not a reply's.

    Raises ValueError when it is empty, too long, or cannot be sealed.
    """
    cdef buffer_t out
    cdef slice_t plain = slice_of(<const uint8_t*>PyBytes_AsString(message), len(message))
    buffer_init(&out)
    try:
        if not (reply or stream_label(&envelope.envelope, &out)):
            raise MemoryError
        if not stream_seal(&envelope.envelope, envelope.opened, plain, &out):
            raise ValueError("the message is empty, too long, or cannot be sealed")
        return slice_bytes(buffer_slice(&out))
    finally:
        buffer_free(&out)


def decode_stream(bytes data not None, *, keys=(), bytes label not None=b"", bint reply=False):
    """All that one side wrote on a stream, in the form of the golden vectors' `decoded`."""
    reader = StreamReader(Envelope(keys=keys, label=label), reply=reply)
    reader.feed(data)
    reader.end()
    return reader.decoded()
