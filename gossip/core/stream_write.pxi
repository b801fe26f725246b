# stream_write.pxi: a message in the envelopes of a stream (protocol §8 to §10).

cdef bint stream_label(const envelope_t* e, buffer_t* out) noexcept nogil:
    """The header a dialler sends first; nothing without a label (protocol §8)."""
    cdef uint8_t[2] head
    head[0] = MSG_LABEL
    head[1] = e.label_len
    return e.label_len == 0 or (
        buffer_append(out, head, 2) and buffer_append(out, e.label, e.label_len))


cdef bint stream_compress(opened_t* scratch, slice_t plain, buffer_t* out) noexcept nogil:
    """Append the type 9 form, even where it is larger (protocol §6)."""
    cdef buffer_t packed
    cdef compress_t message
    cdef writer_t w
    cdef bint ok = False
    buffer_init(&packed)
    if buffer_reserve(&packed, lzw_bound(plain.len)):
        w = writer_of(packed.data, packed.cap)
        lzw_encode(plain, &w, &scratch.lzw)
        message.algo = 0
        message.buf = writer_slice(&w)
        if buffer_reserve(out, message.buf.len + compress_overhead(message.buf.len)):
            w = writer_of(buffer_end(out), out.cap - out.len)
            message_encode(&COMPRESS, &w, &message)
            out.len += writer_len(&w)
            ok = True
    buffer_free(&packed)
    return ok


cdef bint stream_seal_begin(const envelope_t* e, buffer_t* out, size_t start) noexcept nogil:
    """Write all of a seal but the cipher text and the tag, around what stands in `out` behind the
    room for both headers that begins at `start`."""
    cdef size_t head = STREAM_SEAL_HEAD + SEAL_HEAD
    cdef size_t n = out.len - start - head
    cdef size_t sealed = n + SEAL_OVERHEAD
    cdef writer_t w
    if e.seal_version == 0:
        sealed += SEAL_BLOCK - n % SEAL_BLOCK
    if sealed > STREAM_SEALED_MAX or not buffer_reserve(out, SEAL_BLOCK + TAG_BYTES):
        return False
    w = writer_of(&out.data[start + head], out.cap - start - head)
    writer_take(&w, n)
    if sealed_begin(e, &w) != DROP_NONE:
        return False
    stream_seal_head(<uint32_t>sealed, writer_before(&w, STREAM_SEAL_HEAD))
    out.len = start + writer_len(&w)
    return True


cdef int stream_seal_on(const envelope_t* e, buffer_t* out, size_t start, pass_t* pass_,
                        int64_t* work) noexcept nogil:
    """Seal what stream_seal_begin has begun, as far as the work goes: PassResult."""
    cdef uint8_t[STREAM_SEAL_HEAD + LABEL_BYTES_MAX] aad
    cdef uint32_t sealed = <uint32_t>(out.len - start - STREAM_SEAL_HEAD)
    cdef uint32_t n = sealed - SEAL_OVERHEAD
    cdef uint8_t* head = &out.data[start + STREAM_SEAL_HEAD]
    cdef uint8_t* text = &head[SEAL_HEAD]
    if pass_.state == NULL and e.key_count == 0:
        return PASS_FAILED                  # the keys are gone since
    return pass_on(pass_, &e.keys[0], True, &head[1],
                   slice_of(aad, stream_aad(e, sealed, aad)), text, n, text, &text[n], work)


cdef bint stream_seal(const envelope_t* e, opened_t* scratch, slice_t plain,
                      buffer_t* out) noexcept nogil:
    """Append a message in its envelopes: compressed if so configured, sealed if there are keys.

    False without memory, without a nonce, or when it would be too long for any receiver; `out` is
    as it was then. `plain` is a whole message, never empty, and not part of `out`.
    """
    cdef size_t start = out.len
    cdef pass_t pass_
    cdef int64_t work = INT64_MAX
    cdef bint ok = plain.len > 0
    if ok and envelope_seals(e):
        ok = buffer_reserve(out, STREAM_SEAL_HEAD + SEAL_HEAD)
        out.len += STREAM_SEAL_HEAD + SEAL_HEAD if ok else 0
    if ok and e.compression:
        ok = stream_compress(scratch, plain, out)
    elif ok:
        ok = buffer_append(out, plain.ptr, plain.len)
    if ok and envelope_seals(e):
        memset(&pass_, 0, sizeof(pass_))
        ok = (stream_seal_begin(e, out, start)
              and stream_seal_on(e, out, start, &pass_, &work) == PASS_DONE)
    if not ok:
        out.len = start
    return ok
