# stream.pxi: the reader of streams; its face only, until the reader itself lands (next commits).
cdef enum:
    STREAM_MORE
    STREAM_READY
    STREAM_FAILED
cdef struct stream_reader_t:
    uint8_t type
    push_pull_header_t header
    slice_t user
    slice_t body
    char[256] error
    bint reply_error
cdef void stream_reader_init(stream_reader_t* r, envelope_t* e, bint expect_label) noexcept nogil:
    pass
cdef void stream_reader_free(stream_reader_t* r) noexcept nogil:
    pass
cdef int stream_feed(stream_reader_t* r, const uint8_t* data, size_t n) noexcept nogil:
    return STREAM_MORE
cdef int stream_next_node(stream_reader_t* r, push_node_t* node) noexcept nogil:
    return 0
cdef void stream_rewind(stream_reader_t* r) noexcept nogil:
    pass
cdef bint stream_seal(envelope_t* e, opened_t* o, slice_t plain, buffer_t* out) noexcept nogil:
    return buffer_append(out, plain.ptr, plain.len)
cdef bint stream_label(envelope_t* e, buffer_t* out) noexcept nogil:
    return True
