# intents.pxi: the recent intents: what was said about names that are no members yet (Serf §7).
#
# An intent may overtake the membership of whom it is about; it waits here until that comes. One a
# name, the newest; the oldest go first when there are too many.

cdef enum IntentKind:
    INTENT_LEAVE = 0            # as the messages are numbered
    INTENT_JOIN = 1

cdef struct intent_t:
    entry_t entry               # in the map of names
    intent_t* newer
    intent_t* older
    uint64_t ltime
    int64_t said_ns
    uint16_t name_len
    uint8_t kind
    # The name follows.

cdef struct intents_t:
    map_t names
    intent_t* newest
    intent_t* oldest
    uint64_t seed


cdef inline void intents_init(intents_t* self, uint64_t seed) noexcept nogil:
    memset(self, 0, sizeof(intents_t))
    map_init(&self.names)
    self.seed = seed


cdef inline slice_t intent_name(const intent_t* intent) noexcept nogil:
    return slice_of(<const uint8_t*>intent + sizeof(intent_t), intent.name_len)


cdef intent_t* intents_find(const intents_t* self, slice_t name) noexcept nogil:
    """The intent about that name, or NULL."""
    cdef uint64_t hash = hash_bytes(self.seed, name.ptr, name.len)
    cdef entry_t* entry = map_first(&self.names, hash)
    while entry != NULL:
        if entry.hash == hash and slice_equal(intent_name(<intent_t*>entry), name):
            return <intent_t*>entry
        entry = entry.next
    return NULL


cdef void intent_unlink(intents_t* self, intent_t* intent) noexcept nogil:
    if intent.newer != NULL:
        intent.newer.older = intent.older
    else:
        self.newest = intent.older
    if intent.older != NULL:
        intent.older.newer = intent.newer
    else:
        self.oldest = intent.newer


cdef void intent_link(intents_t* self, intent_t* intent) noexcept nogil:
    """Make it the newest."""
    intent.newer = NULL
    intent.older = self.newest
    if self.newest != NULL:
        self.newest.newer = intent
    else:
        self.oldest = intent
    self.newest = intent


cdef void intents_drop(intents_t* self, intent_t* intent) noexcept nogil:
    intent_unlink(self, intent)
    map_drop(&self.names, &intent.entry)
    free(intent)


cdef intent_t* intents_add(intents_t* self, slice_t name) noexcept nogil:
    """An empty intent about a name that has none; NULL without memory."""
    cdef intent_t* intent
    if self.names.count == INTENTS_MAX:
        intents_drop(self, self.oldest)
    if not map_reserve(&self.names):
        return NULL
    intent = <intent_t*>malloc(sizeof(intent_t) + name.len)
    if intent == NULL:
        return NULL
    intent.name_len = <uint16_t>name.len
    if name.len:
        memcpy(<uint8_t*>intent + sizeof(intent_t), name.ptr, name.len)
    intent.entry.hash = hash_bytes(self.seed, name.ptr, name.len)
    map_put(&self.names, &intent.entry)
    intent_link(self, intent)
    return intent


cdef bint intents_upsert(intents_t* self, slice_t name, uint8_t kind, uint64_t ltime,
                         int64_t now) noexcept nogil:
    """Store an intent if there is none about the name, or an older one; whether it was stored."""
    cdef intent_t* intent = intents_find(self, name)
    if intent != NULL and ltime <= intent.ltime:
        return False
    if intent == NULL:
        intent = intents_add(self, name)
        if intent == NULL:
            return False
    else:
        intent_unlink(self, intent)
        intent_link(self, intent)
    intent.kind = kind
    intent.ltime = ltime
    intent.said_ns = now
    return True


cdef uint32_t intents_expire(intents_t* self, int64_t before, uint32_t at_most) noexcept nogil:
    """Forget what was said earlier than `before`, oldest first; how many were forgotten."""
    cdef uint32_t gone = 0
    while gone < at_most and self.oldest != NULL and self.oldest.said_ns < before:
        intents_drop(self, self.oldest)
        gone += 1
    return gone


cdef void intents_free(intents_t* self) noexcept nogil:
    while self.oldest != NULL:
        intents_drop(self, self.oldest)
    map_free(&self.names)
