# packet.pxi: a datagram's envelopes: label, encryption, CRC, compression, compound (protocol §3).
#
# Both directions. Opening finds the messages and decodes none of them; a work list replaces the
# recursion of memberlist, with budgets for depth, parts and inflated bytes. Nothing is allocated
# for a datagram: the scratch is taken once, when first needed, and slices into it do not move.

cdef enum:
    SEAL_HEAD = 1 + NONCE_BYTES         # version and nonce stand before the ciphertext
    SEAL_OVERHEAD = SEAL_HEAD + TAG_BYTES
    SEAL_BLOCK = 16                     # version 0 pads to this, with at least one byte
    CRC_HEAD = 5
    # The decrypted datagram, what was inflated, and one reply's compression while both are in use.
    SCRATCH_BYTES = 2 * DATAGRAM_BYTES_MAX + INFLATED_BYTES_MAX

cdef struct envelope_t:
    uint8_t[LABEL_BYTES_MAX] label
    uint8_t label_len
    bint skip_inbound_label_check
    bint verify_incoming
    bint verify_outgoing
    bint compression
    uint8_t seal_version                # 0 in a protocol 1 pool, else 1
    uint32_t key_count
    aead_t[KEYS_MAX] keys               # the first one seals, all are tried in order to open
    nonces_t* nonces
    replay_t* replay                    # NULL: repeated nonces are accepted

cdef struct seal_t:                     # what was found around a sealed blob
    bint present
    uint8_t version
    uint8_t[NONCE_BYTES] nonce
    uint8_t[TAG_BYTES] tag
    uint32_t length                     # of the whole blob
    uint32_t key                        # which key opened it

cdef struct part_t:
    slice_t body                        # after the type byte
    uint8_t type
    uint8_t reason                      # 0, or why it is not to be used
    uint16_t truncated                  # parts of a compound that were cut off
    int32_t parent                      # the compound or compress it was in, -1: none

cdef struct frame_t:                    # an envelope whose parts are being listed
    cursor_t lengths                    # no bytes: one part, all there is
    cursor_t bytes
    uint32_t left
    int32_t parent

cdef struct opened_t:
    uint32_t count
    part_t[PARTS_MAX] parts             # in wire order, envelopes before what they hold
    frame_t[DEPTH_MAX] frames
    slice_t label
    seal_t seal
    bint has_crc
    uint32_t crc
    size_t opened_bytes                 # of the scratch, taken by decryption; the rest is inflated
    buffer_t scratch
    lzw_t lzw


# -- scratch

cdef opened_t* opened_new() noexcept nogil:
    """Scratch for opening and finishing packets, one datagram at a time; NULL without memory."""
    cdef opened_t* o = <opened_t*>malloc(sizeof(opened_t))
    if o != NULL:
        o.count = 0
        buffer_init(&o.scratch)
        opened_clear(o)
    return o


cdef void opened_free(opened_t* o) noexcept nogil:
    if o != NULL:
        scratch_open(o)
        buffer_free(&o.scratch)
        free(o)


cdef void opened_clear(opened_t* o) noexcept nogil:
    o.count = 0
    o.label = slice_nil()
    o.seal.present = False
    o.has_crc = False
    o.opened_bytes = 0
    o.scratch.len = 0
    scratch_close(o)


cdef bint scratch_take(opened_t* o) noexcept nogil:
    """Have the scratch, all of it at once: it never moves or grows."""
    return o.scratch.cap >= SCRATCH_BYTES or buffer_reserve(&o.scratch, SCRATCH_BYTES)


cdef inline void scratch_open(opened_t* o) noexcept nogil:
    gossip_unpoison(buffer_end(&o.scratch), o.scratch.cap - o.scratch.len)


cdef inline void scratch_close(opened_t* o) noexcept nogil:
    """Let the sanitizer see a read behind what is in use."""
    gossip_poison(buffer_end(&o.scratch), o.scratch.cap - o.scratch.len)


cdef inline void slot_poison(slot_t* slot) noexcept nogil:
    """Let the sanitizer see a read behind the packet in a slot; nothing in other builds."""
    gossip_poison(&slot.data[slot.len], slot.cap - slot.len)


cdef inline void slot_unpoison(slot_t* slot) noexcept nogil:
    gossip_unpoison(slot.data, slot.cap)


# -- sealed blobs, of packets and of streams (protocol §9)

cdef inline slice_t envelope_label(const envelope_t* e) noexcept nogil:
    return slice_of(e.label, e.label_len)


cdef int sealed_check(slice_t sealed) noexcept nogil:
    """Whether a blob can be sealed at all: 0 or the reason why not."""
    if sealed.len == 0:
        return DROP_SEAL_TOO_SMALL
    if slice_first(sealed) > 1:
        return DROP_SEAL_VERSION
    if sealed.len < SEAL_OVERHEAD + (SEAL_BLOCK if slice_first(sealed) == 0 else 0):
        return DROP_SEAL_TOO_SMALL
    return DROP_NONE


cdef bint padding_cut(slice_t* plain) noexcept nogil:
    """Take the padding of version 0 off. Go cuts without looking; we do look."""
    cdef uint32_t i, n, start
    if plain.len == 0:
        return False
    n = slice_at(plain[0], plain.len - 1)
    if n == 0 or n > SEAL_BLOCK or n > plain.len:
        return False
    start = plain.len - n
    for i in range(start, plain.len):
        if slice_at(plain[0], i) != n:
            return False
    plain.len = start
    return True


cdef slice_t sealed_look(slice_t sealed, seal_t* found) noexcept nogil:
    """Note what stands around a blob that sealed_check let through; gives text and tag."""
    cdef cursor_t c = cursor_of(sealed)
    cdef slice_t box
    cursor_u8(&c, &found.version)
    memcpy(found.nonce, cursor_take(&c, NONCE_BYTES), NONCE_BYTES)
    box = cursor_rest(&c)
    memcpy(found.tag, slice_tail(box, TAG_BYTES).ptr, TAG_BYTES)
    found.length = sealed.len
    return box


cdef int sealed_opened(const envelope_t* e, uint32_t key, seal_t* found,
                       slice_t* plain) noexcept nogil:
    """Key number `key` opened it: whether the text is to be taken, 0 or the reason why not."""
    found.present = True
    found.key = key
    if found.version == 0 and not padding_cut(plain):
        return DROP_PADDING
    if e.replay != NULL and replay_seen(e.replay, found.nonce):
        return DROP_REPLAYED
    return DROP_NONE


cdef int sealed_open(const envelope_t* e, slice_t sealed, slice_t aad, uint8_t* out,
                     seal_t* found, slice_t* plain) noexcept nogil:
    """Open a blob with any of the keys into `out` (29 bytes shorter): 0 or the reason."""
    cdef slice_t box
    cdef uint32_t i
    cdef int reason = sealed_check(sealed)
    if reason != DROP_NONE:
        return reason
    box = sealed_look(sealed, found)
    for i in range(e.key_count):
        if e.keys[i].open(e.keys[i].ctx, found.nonce, aad, box.ptr, box.len, out) == 0:
            plain[0] = slice_of(out, box.len - TAG_BYTES)
            return sealed_opened(e, i, found, plain)
    return DROP_DECRYPT


cdef int sealed_begin(const envelope_t* e, writer_t* w) noexcept nogil:
    """Padding, version and nonce around all that the writer holds, with 13 free bytes before it,
    and room for the tag: 0 or the reason why not."""
    cdef uint32_t pad, n = writer_len(w)
    cdef uint8_t* head
    cdef uint8_t* tail
    if e.seal_version == 0:
        pad = SEAL_BLOCK - n % SEAL_BLOCK
        tail = writer_take(w, pad)
        if tail == NULL:
            return DROP_OUT_FULL
        memset(tail, pad, pad)
    if writer_take(w, TAG_BYTES) == NULL:
        return DROP_OUT_FULL
    head = writer_before(w, SEAL_HEAD)
    head[0] = e.seal_version
    if e.nonces == NULL or not nonce_take(e.nonces, &head[1]):
        return DROP_SEAL
    return DROP_NONE


cdef int sealed_write(const envelope_t* e, writer_t* w, slice_t aad) noexcept nogil:
    """Seal all that the writer holds, in place: 0 or the reason why not. See sealed_begin."""
    cdef uint8_t* head
    cdef int reason = sealed_begin(e, w)
    if reason != DROP_NONE:
        return reason
    head = writer_before(w, 0)
    if e.keys[0].seal(e.keys[0].ctx, &head[1], aad, &head[SEAL_HEAD],
                      writer_len(w) - SEAL_OVERHEAD, &head[SEAL_HEAD]) != 0:
        return DROP_SEAL
    return DROP_NONE


# -- opening

cdef int packet_label(const envelope_t* e, opened_t* o, slice_t* packet) noexcept nogil:
    """Take the label header off and compare it (protocol §8)."""
    cdef cursor_t c = cursor_of(packet[0])
    cdef uint8_t magic = 0, n = 0
    if e.skip_inbound_label_check:
        return DROP_LABEL_UNEXPECTED if slice_first(packet[0]) == MSG_LABEL else DROP_NONE
    if slice_first(packet[0]) == MSG_LABEL:
        cursor_u8(&c, &magic)
        if not cursor_u8(&c, &n):
            return DROP_LABEL_TRUNCATED
        if n == 0:
            return DROP_LABEL_EMPTY
        if not cursor_slice(&c, n, &o.label):
            return DROP_LABEL_TRUNCATED
        packet[0] = cursor_rest(&c)
    return DROP_NONE if slice_equal(o.label, envelope_label(e)) else DROP_LABEL_MISMATCH


cdef int packet_decrypt(const envelope_t* e, opened_t* o, slice_t* packet) noexcept nogil:
    """Open the seal; without verification a packet that is not sealed passes as it is."""
    cdef slice_t plain = slice_nil()
    cdef int reason
    if packet.len > DATAGRAM_BYTES_MAX:
        return DROP_DECRYPT
    if not scratch_take(o):
        return DROP_NO_MEMORY
    scratch_open(o)
    reason = sealed_open(e, packet[0], envelope_label(e), o.scratch.data, &o.seal, &plain)
    if reason == DROP_NONE:
        o.scratch.len = plain.len
        packet[0] = plain
    elif not e.verify_incoming and not o.seal.present:
        reason = DROP_NONE
    o.opened_bytes = o.scratch.len
    scratch_close(o)
    return reason


cdef int packet_crc(opened_t* o, slice_t* packet) noexcept nogil:
    """Check and take off a CRC, which stands here or nowhere (protocol §7)."""
    cdef uint64_t crc = 0
    cdef cursor_t c
    if slice_first(packet[0]) != MSG_HAS_CRC or packet.len < CRC_HEAD:
        return DROP_NONE
    c = cursor_of(slice_from(packet[0], 1))
    cursor_uint(&c, 4, &crc)
    o.has_crc = True
    o.crc = <uint32_t>crc
    packet[0] = cursor_rest(&c)
    return DROP_NONE if crc32(packet[0]) == o.crc else DROP_CRC


cdef part_t* part_add(opened_t* o, int32_t parent, slice_t message) noexcept nogil:
    """List a message. The last place is for the one that is too many."""
    cdef part_t* part = &o.parts[o.count]
    part.type = <uint8_t>slice_first(message) if message.len else 0
    part.body = slice_from(message, 1)
    part.reason = DROP_NONE if message.len else DROP_NO_TYPE
    part.truncated = 0
    part.parent = parent
    o.count += 1
    if o.count == PARTS_MAX:
        part.reason = DROP_TOO_MANY_PARTS
    return part


cdef int compound_begin(slice_t body, frame_t* frame) noexcept nogil:
    """Find the length table of a compound (protocol §5)."""
    cdef cursor_t c = cursor_of(body)
    cdef slice_t lengths
    cdef uint8_t count = 0
    if not cursor_u8(&c, &count) or not cursor_slice(&c, 2 * <size_t>count, &lengths):
        return DROP_COMPOUND_TRUNCATED
    frame.lengths = cursor_of(lengths)
    frame.bytes = c
    frame.left = count
    return DROP_NONE


cdef int compress_begin(opened_t* o, slice_t body, frame_t* frame) noexcept nogil:
    """Inflate into the scratch, within the datagram's budget: what a failure put out counts too."""
    cdef compress_t packed
    cdef size_t start, spent
    cdef int reason = decode_compress(body, &packed)
    if reason != DROP_NONE:
        return reason
    if packed.algo != 0:
        return DROP_COMPRESS_ALGORITHM
    if not scratch_take(o):
        return DROP_NO_MEMORY
    start = o.scratch.len
    spent = start - o.opened_bytes
    scratch_open(o)
    reason = lzw_decode(packed.buf, &o.scratch, INFLATED_BYTES_MAX - spent, &o.lzw)
    scratch_close(o)
    if reason == DROP_NONE:
        frame.bytes = cursor_of(slice_from(buffer_slice(&o.scratch), <uint32_t>start))
        frame.lengths = cursor_of(slice_nil())
        frame.left = 1
    return reason


cdef bint frame_next(opened_t* o, frame_t* frame, slice_t* message) noexcept nogil:
    """The next message of an envelope; False when there is no further one."""
    cdef uint64_t n = 0
    if frame.left == 0:
        return False
    if cursor_left(&frame.lengths) == 0:
        message[0] = cursor_rest(&frame.bytes)
    else:
        cursor_uint(&frame.lengths, 2, &n)
        if not cursor_slice(&frame.bytes, <size_t>n, message):
            o.parts[frame.parent].truncated = <uint16_t>frame.left
            o.parts[frame.parent].reason = DROP_PART_TRUNCATED
            return False
    frame.left -= 1
    return True


cdef int part_enter(opened_t* o, part_t* part, uint32_t depth) noexcept nogil:
    """Judge a message's type and, if it is an envelope, make it frame number `depth`."""
    cdef frame_t* frame
    if part.type == MSG_COMPOUND or part.type == MSG_COMPRESS:
        if depth == DEPTH_MAX:
            return DROP_TOO_DEEP
        frame = &o.frames[depth]
        frame.parent = <int32_t>(o.count - 1)
        if part.type == MSG_COMPOUND:
            return compound_begin(part.body, frame)
        return compress_begin(o, part.body, frame)
    if part.type <= MSG_DEAD or part.type == MSG_USER or part.type == MSG_NACK:
        return DROP_NONE
    return DROP_UNKNOWN_TYPE


cdef inline bint part_is_envelope(const part_t* part) noexcept nogil:
    """Whether a part only holds others, which follow it in the list."""
    return part.type == MSG_COMPOUND or part.type == MSG_COMPRESS


cdef void packet_parts(opened_t* o, slice_t message) noexcept nogil:
    """List all messages, depth first, which is their order on the wire."""
    cdef part_t* part
    cdef uint32_t depth = 0
    cdef int32_t parent = -1
    while True:
        part = part_add(o, parent, message)
        if part.reason == DROP_TOO_MANY_PARTS:
            return
        if part.reason == DROP_NONE:
            part.reason = <uint8_t>part_enter(o, part, depth)
            if part.reason == DROP_NONE and part_is_envelope(part):
                depth += 1
        while depth > 0 and not frame_next(o, &o.frames[depth - 1], &message):
            depth -= 1
        if depth == 0:
            return
        parent = o.frames[depth - 1].parent


cdef int packet_open(const envelope_t* e, opened_t* o, slice_t packet) noexcept nogil:
    """Take a datagram apart into `o.parts`: 0, or the reason to drop it whole.

    A part whose reason is not 0 is to be counted and not used; of a truncated compound the parts
    before the cut are listed. Everything listed is valid until the next call, and as long as the
    packet is.
    """
    cdef int reason
    opened_clear(o)
    if packet.len == 0:
        return DROP_EMPTY
    reason = packet_label(e, o, &packet)
    if reason == DROP_NONE and e.key_count:
        reason = packet_decrypt(e, o, &packet)
    if reason == DROP_NONE:
        reason = packet_crc(o, &packet)
    if reason == DROP_NONE:
        packet_parts(o, packet)
    return reason


# -- writing

cdef inline bint envelope_seals(const envelope_t* e) noexcept nogil:
    return e.key_count > 0 and e.verify_outgoing


cdef inline uint32_t label_overhead(const envelope_t* e) noexcept nogil:
    return 2 + e.label_len if e.label_len else 0


cdef uint32_t packet_overhead(const envelope_t* e, bint gossip) noexcept nogil:
    """Bytes that label and seal may take of a packet's budget (protocol §13)."""
    cdef uint32_t n = label_overhead(e)
    if envelope_seals(e) or (gossip and e.key_count > 0):
        n += SEAL_OVERHEAD + (SEAL_BLOCK if e.seal_version == 0 else 0)
    return n


cdef writer_t packet_begin(const envelope_t* e, slot_t* slot) noexcept nogil:
    """A writer for the message, with room for its envelopes before and behind it in the slot."""
    cdef writer_t w = writer_of(slot.data, slot.cap)
    cdef uint32_t head = label_overhead(e) + CRC_HEAD, tail = 0
    if envelope_seals(e):
        head += SEAL_HEAD
        tail = TAG_BYTES + (SEAL_BLOCK if e.seal_version == 0 else 0)
    if head + tail > slot.cap:
        w = writer_of(slot.data, 0)
        w.full = True
        return w
    writer_take(&w, head)
    return writer_of(w.ptr, slot.cap - head - tail)


cdef inline uint32_t compress_overhead(uint32_t n) noexcept nogil:
    """Bytes around n bytes of LZW data: type, map, keys, the string's header (protocol §6)."""
    return 12 + (1 if n < 32 else 3 if n <= 0xFFFF else 5)


cdef void packet_compress(opened_t* scratch, writer_t* w) noexcept nogil:
    """Replace the message by its compressed form if that is smaller, else leave it."""
    cdef uint32_t n = writer_len(w)
    cdef uint32_t least = compress_overhead(0) + 1         # that it must save
    cdef compress_t packed
    cdef writer_t z
    if n <= least or lzw_hopeless(writer_slice(w), n - least):
        return
    if n > DATAGRAM_BYTES_MAX or not scratch_take(scratch):
        return
    scratch_open(scratch)
    z = writer_of(buffer_end(&scratch.scratch), n - least)
    lzw_encode(writer_slice(w), &z, &scratch.lzw)
    if not z.full and writer_len(&z) + compress_overhead(writer_len(&z)) < n:
        packed.algo = 0
        packed.buf = writer_slice(&z)
        w.ptr = w.base
        message_encode(&COMPRESS, w, &packed)
    scratch_close(scratch)


cdef int packet_finish(const envelope_t* e, opened_t* scratch, slot_t* slot, writer_t* w,
                       bint crc) noexcept nogil:
    """Put the envelopes around the message: 0, or the reason why there is no packet.

    Sets `slot.data` to the first byte, up to 275 bytes behind where it was, and `slot.len`;
    `slot.cap` shrinks by as much. What the scratch's last datagram listed stays valid.
    """
    cdef uint8_t* end = &slot.data[slot.cap]
    cdef uint8_t* head
    cdef uint32_t sum_
    cdef int reason
    if w.full:
        return DROP_OUT_FULL
    if e.compression:
        packet_compress(scratch, w)
    if crc:
        sum_ = crc32(writer_slice(w))
        head = writer_before(w, CRC_HEAD)
        head[0] = MSG_HAS_CRC
        store_u32(&head[1], sum_)
    if envelope_seals(e):
        w.end = end
        reason = sealed_write(e, w, envelope_label(e))
        if reason != DROP_NONE:
            return reason
    if e.label_len:
        head = writer_before(w, label_overhead(e))
        head[0] = MSG_LABEL
        head[1] = e.label_len
        memcpy(&head[2], e.label, e.label_len)
    slot.data = w.base
    slot.len = writer_len(w)
    slot.cap = <uint32_t>(end - slot.data)
    return DROP_NONE
