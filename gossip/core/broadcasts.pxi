# broadcasts.pxi: the transmit-limited queue (protocol §14). It knows payloads and names, not what
# they say.
#
# The order is: fewest transmits first, then longest, then newest. A packet takes, tier by tier
# (a tier holds the items sent equally often), always the first item that still fits. With 100,000
# items waiting this must not be a search, so the order is built of three exact parts:
#
#   - a tier has one bucket a length, and a bitmap of the lengths that are present: "the longest
#     that fits" is one find-last-set. Buckets stand in pages of 64 lengths that exist only while
#     they hold something.
#   - a bucket is a list, newest first. New items go to its front. Items that come up from the
#     tier below arrive in falling order of age or newer than all: at the end, at the front, or next
#     to where the last one went, which the bucket remembers (`finger`).
#   - names are in a keyed hash map, so a newer claim finds the one it supersedes.
#
# An item is one malloc, made by queue_add. Taking allocates nothing, but for a page or a tier now
# and then; where there is no memory for it the item stays in its tier.

cdef extern from *:
    int highest_bit_zeros "__builtin_clzll"(unsigned long long word) noexcept nogil
    int lowest_bit_zeros "__builtin_ctzll"(unsigned long long word) noexcept nogil

cdef struct broadcast_t:
    entry_t entry               # in the map of names, if it has one
    broadcast_t* newer          # in the bucket
    broadcast_t* older          # in the bucket; or the next one set aside, or finished
    uint64_t id                 # higher is newer
    uint32_t length             # of the payload
    uint32_t notify             # what queue_next_finished returns, or 0
    uint16_t transmits
    uint8_t kind                # the caller's
    uint8_t name_len            # 0: plain, supersedes nothing and is not superseded
    # The payload follows, then the name.

cdef struct bucket_t:
    broadcast_t* newest
    broadcast_t* oldest
    broadcast_t* finger         # the last item put anywhere but at the end

cdef struct page_t:
    page_t* next_spare
    uint64_t lengths            # which of the 64 buckets hold items
    bucket_t[64] buckets

cdef struct tier_t:
    uint32_t count
    page_t** pages              # NULL where a page is empty
    uint64_t* summary           # which pages are there

cdef struct queue_t:
    uint32_t count
    uint32_t max_length
    uint32_t pages_per_tier
    uint32_t lowest             # all items are in tiers [lowest, highest]; the ends may be empty
    uint32_t highest
    uint32_t tier_capacity
    tier_t** tiers              # NULL where a tier was never used
    page_t* spare_pages
    uint64_t next_id
    map_t names
    uint64_t seed
    broadcast_t* finished       # oldest first
    broadcast_t* finished_last

# Items taken and not yet put back.
cdef struct aside_t:
    broadcast_t* first
    broadcast_t* last

# Copies a payload into the packet; whether one more may come. It must not touch the queue.
ctypedef bint (*take_fn)(void* ctx, slice_t payload) noexcept nogil


cdef void queue_init(queue_t* self, uint32_t max_length, uint64_t seed) noexcept nogil:
    """An empty queue for payloads of up to `max_length` bytes; `seed` keys the map of names."""
    memset(self, 0, sizeof(queue_t))
    self.max_length = min(max_length, <uint32_t>BROADCAST_BYTES_MAX)
    self.pages_per_tier = (self.max_length >> 6) + 1
    map_init(&self.names)
    self.seed = seed


cdef void queue_free(queue_t* self) noexcept nogil:
    cdef uint32_t at
    cdef page_t* page
    queue_prune(self, 0)
    while queue_next_finished(self):
        pass
    while self.spare_pages != NULL:
        page = self.spare_pages
        self.spare_pages = page.next_spare
        free(page)
    for at in range(self.tier_capacity):
        free(self.tiers[at])
    free(self.tiers)
    map_free(&self.names)
    queue_init(self, self.max_length, self.seed)


# ---- items

cdef inline slice_t broadcast_payload(const broadcast_t* item) noexcept nogil:
    cdef slice_t payload
    payload.ptr = <const uint8_t*>item + sizeof(broadcast_t)
    payload.len = item.length
    return payload


cdef broadcast_t* broadcast_new(
    queue_t* self, slice_t name, uint8_t kind, slice_t payload, uint32_t notify
) noexcept nogil:
    cdef uint8_t* to
    cdef broadcast_t* item
    item = <broadcast_t*>malloc(sizeof(broadcast_t) + payload.len + name.len)
    if item == NULL:
        return NULL
    memset(item, 0, sizeof(broadcast_t))
    item.length = payload.len
    item.notify = notify
    item.kind = kind
    item.name_len = <uint8_t>name.len
    to = <uint8_t*>item + sizeof(broadcast_t)
    if payload.len:
        memcpy(to, payload.ptr, payload.len)
    if name.len:
        memcpy(to + payload.len, name.ptr, name.len)
        item.entry.hash = hash_bytes(self.seed, name.ptr, name.len)
    return item


# ---- names

cdef broadcast_t* names_find(const queue_t* self, slice_t name, uint64_t hash) noexcept nogil:
    cdef entry_t* entry = map_first(&self.names, hash)
    cdef broadcast_t* item
    while entry != NULL:
        item = <broadcast_t*>entry
        if (entry.hash == hash and item.name_len == name.len and memcmp(
                <uint8_t*>item + sizeof(broadcast_t) + item.length, name.ptr, name.len) == 0):
            return item
        entry = entry.next
    return NULL


# ---- buckets: one tier, one length

cdef broadcast_t* bucket_place(const bucket_t* bucket, uint64_t id) noexcept nogil:
    """The item that `id` goes right behind; it is neither the newest nor the oldest. Looked for
    from both ends and from the finger at once, so the nearest of the three sets the cost."""
    cdef broadcast_t* down = bucket.newest
    cdef broadcast_t* up = bucket.oldest
    cdef broadcast_t* near = bucket.finger if bucket.finger != NULL else down
    while True:
        if down.older.id < id:
            return down
        down = down.older
        up = up.newer
        if up.id > id:
            return up
        if near.id < id:
            near = near.newer
            if near.id > id:
                return near
        elif near.older.id < id:
            return near
        else:
            near = near.older


cdef inline void bucket_put(bucket_t* bucket, broadcast_t* item) noexcept nogil:
    item.newer = NULL
    item.older = NULL
    if bucket.newest == NULL:
        pass
    elif item.id > bucket.newest.id:
        item.older = bucket.newest
    elif item.id < bucket.oldest.id:
        item.newer = bucket.oldest
    else:
        item.newer = bucket_place(bucket, item.id)
        item.older = item.newer.older
    if item.newer != NULL:
        item.newer.older = item
    else:
        bucket.newest = item
    if item.older != NULL:
        item.older.newer = item
        bucket.finger = item
    else:
        bucket.oldest = item


cdef inline void bucket_drop(bucket_t* bucket, broadcast_t* item) noexcept nogil:
    if bucket.finger == item:
        bucket.finger = item.older if item.older != NULL else item.newer
    if item.newer != NULL:
        item.newer.older = item.older
    else:
        bucket.newest = item.older
    if item.older != NULL:
        item.older.newer = item.newer
    else:
        bucket.oldest = item.newer


# ---- tiers

cdef tier_t* queue_tier(queue_t* self, uint32_t transmits) noexcept nogil:
    """The tier of the items sent so often, made if need be; NULL without memory, or past the
    last tier there may be."""
    cdef uint32_t capacity, at
    cdef tier_t** tiers
    cdef tier_t* tier
    cdef uint32_t words = (self.pages_per_tier + 63) >> 6
    if transmits >= BROADCAST_TIERS_MAX:
        return NULL
    if transmits >= self.tier_capacity:
        capacity = max(transmits + 1, self.tier_capacity + 8)
        tiers = <tier_t**>realloc(self.tiers, capacity * sizeof(tier_t*))
        if tiers == NULL:
            return NULL
        for at in range(self.tier_capacity, capacity):
            tiers[at] = NULL
        self.tiers = tiers
        self.tier_capacity = capacity
    if self.tiers[transmits] == NULL:
        tier = <tier_t*>calloc(1, sizeof(tier_t) + (self.pages_per_tier + words) * 8)
        if tier == NULL:
            return NULL
        tier.pages = <page_t**>(<uint8_t*>tier + sizeof(tier_t))
        tier.summary = <uint64_t*>(tier.pages + self.pages_per_tier)
        self.tiers[transmits] = tier
    return self.tiers[transmits]


cdef page_t* tier_page(queue_t* self, tier_t* tier, uint32_t number) noexcept nogil:
    """The page, made if need be; NULL without memory."""
    cdef page_t* page = tier.pages[number]
    if page != NULL:
        return page
    page = self.spare_pages
    if page != NULL:
        self.spare_pages = page.next_spare
    else:
        page = <page_t*>calloc(1, sizeof(page_t))
        if page == NULL:
            return NULL
    tier.pages[number] = page
    tier.summary[number >> 6] |= <uint64_t>1 << (number & 63)
    return page


cdef inline int32_t tier_longest(const tier_t* tier, uint32_t limit) noexcept nogil:
    """The greatest length <= limit that is present, -1 if there is none."""
    cdef uint32_t number = limit >> 6
    cdef int32_t word = number >> 6
    cdef page_t* page = tier.pages[number]
    cdef uint64_t bits
    if page != NULL:
        bits = page.lengths & (~<uint64_t>0 >> (63 - (limit & 63)))
        if bits:
            return (number << 6) + 63 - highest_bit_zeros(bits)
    bits = tier.summary[word] & ((<uint64_t>1 << (number & 63)) - 1)
    while bits == 0:
        word -= 1
        if word < 0:
            return -1
        bits = tier.summary[word]
    number = (word << 6) + 63 - highest_bit_zeros(bits)
    return (number << 6) + 63 - highest_bit_zeros(tier.pages[number].lengths)


cdef uint32_t tier_shortest(const tier_t* tier) noexcept nogil:
    """The least length in a tier that is not empty."""
    cdef uint32_t word = 0
    cdef uint32_t number
    while tier.summary[word] == 0:
        word += 1
    number = (word << 6) + lowest_bit_zeros(tier.summary[word])
    return (number << 6) + lowest_bit_zeros(tier.pages[number].lengths)


cdef bint queue_put(queue_t* self, broadcast_t* item, uint32_t transmits) noexcept nogil:
    """Put an item into its place in a tier; nothing has changed where there is no memory."""
    cdef uint32_t bit = item.length & 63
    cdef page_t* page
    cdef tier_t* tier = queue_tier(self, transmits)
    if tier == NULL:
        return False
    page = tier_page(self, tier, item.length >> 6)
    if page == NULL:
        return False
    item.transmits = <uint16_t>transmits
    bucket_put(&page.buckets[bit], item)
    page.lengths |= <uint64_t>1 << bit
    tier.count += 1
    self.lowest = min(self.lowest, transmits)
    self.highest = max(self.highest, transmits)
    return True


cdef inline void queue_lift(queue_t* self, broadcast_t* item) noexcept nogil:
    """Take an item out of its tier; a page that is empty then becomes a spare one."""
    cdef tier_t* tier = self.tiers[item.transmits]
    cdef uint32_t number = item.length >> 6
    cdef uint32_t bit = item.length & 63
    cdef page_t* page = tier.pages[number]
    tier.count -= 1
    bucket_drop(&page.buckets[bit], item)
    if page.buckets[bit].newest != NULL:
        return
    page.lengths &= ~(<uint64_t>1 << bit)
    if page.lengths == 0:
        tier.pages[number] = NULL
        tier.summary[number >> 6] &= ~(<uint64_t>1 << (number & 63))
        page.next_spare = self.spare_pages
        self.spare_pages = page


cdef void queue_finish(queue_t* self, broadcast_t* item) noexcept nogil:
    """The end of an item that stands in no tier any more."""
    self.count -= 1
    if item.name_len:
        map_drop(&self.names, &item.entry)
    if item.notify == 0:
        free(item)
        return
    item.older = NULL
    if self.finished == NULL:
        self.finished = item
    else:
        self.finished_last.older = item
    self.finished_last = item


cdef void queue_tighten(queue_t* self) noexcept nogil:
    """Draw the ends of the range of tiers in to tiers that hold items, if any does."""
    while self.lowest < self.highest and (
            self.tiers[self.lowest] == NULL or self.tiers[self.lowest].count == 0):
        self.lowest += 1
    while self.highest > self.lowest and (
            self.tiers[self.highest] == NULL or self.tiers[self.highest].count == 0):
        self.highest -= 1


# ---- the queue

cdef bint queue_add(
    queue_t* self, slice_t name, uint8_t kind, slice_t payload, uint32_t notify
) noexcept nogil:
    """Queue a payload. A named one finishes and replaces the one of the same name. False, and
    nothing has changed, when it is longer than the queue takes or there is no memory."""
    cdef broadcast_t* item
    cdef broadcast_t* old = NULL
    cdef tier_t* tier
    if payload.len > self.max_length or name.len > NAME_BYTES_MAX:
        return False
    if name.len and not map_reserve(&self.names):
        return False
    # The page is taken first. Should the old item's end empty and return it, it is a spare one.
    tier = queue_tier(self, 0)
    if tier == NULL:
        return False
    item = broadcast_new(self, name, kind, payload, notify)
    if item == NULL:
        return False
    if tier_page(self, tier, item.length >> 6) == NULL:
        free(item)
        return False
    if name.len:
        old = names_find(self, name, item.entry.hash)
        if old != NULL:
            queue_lift(self, old)
            queue_finish(self, old)
        map_put(&self.names, &item.entry)
    self.next_id += 1
    item.id = self.next_id
    self.count += 1
    queue_put(self, item, 0)
    if self.count > BROADCASTS_MAX:
        queue_prune(self, BROADCASTS_MAX)
    return True


cdef inline void aside_init(aside_t* aside) noexcept nogil:
    aside.first = NULL
    aside.last = NULL


cdef inline void aside_put(aside_t* aside, broadcast_t* item) noexcept nogil:
    item.older = NULL
    if aside.first == NULL:
        aside.first = item
    else:
        aside.last.older = item
    aside.last = item


cdef void queue_return(queue_t* self, aside_t* aside) noexcept nogil:
    """Put the items that were set aside back, each one tier up."""
    cdef broadcast_t* rest = aside.first
    cdef broadcast_t* item
    while rest != NULL:
        item = rest
        rest = item.older
        if not queue_put(self, item, item.transmits + 1):
            # No memory. Its old tier is there still, but even its page may be in use by now.
            if not queue_put(self, item, item.transmits):
                queue_finish(self, item)
    aside_init(aside)


cdef uint32_t queue_take_on(
    queue_t* self, uint32_t overhead, uint32_t limit, uint32_t transmit_limit,
    take_fn take, void* ctx, aside_t* aside,
) noexcept nogil:
    """Fill `limit` bytes: each item costs its length and `overhead`. Bytes used.

    What was taken and is to be sent again is set aside, so that the next packet to the same
    destination takes something else. Until queue_return nothing may be added or pruned.
    """
    cdef uint32_t used = 0
    cdef uint32_t transmits, last
    cdef int32_t length
    cdef bint more = True
    cdef tier_t* tier
    cdef broadcast_t* item
    if self.count == 0:
        return 0
    queue_tighten(self)
    transmits = self.lowest
    last = self.highest
    while more and transmits <= last and used + overhead < limit:
        tier = self.tiers[transmits]
        length = -1
        if tier != NULL and tier.count:
            length = tier_longest(tier, min(limit - used - overhead, self.max_length))
        if length < 0:
            transmits += 1
            continue
        item = tier.pages[length >> 6].buckets[length & 63].newest
        queue_lift(self, item)
        more = take(ctx, broadcast_payload(item))
        used += overhead + item.length
        if transmits + 1 >= transmit_limit:
            queue_finish(self, item)
        else:
            aside_put(aside, item)
    return used


cdef inline uint32_t queue_take(
    queue_t* self, uint32_t overhead, uint32_t limit, uint32_t transmit_limit,
    take_fn take, void* ctx,
) noexcept nogil:
    """The same for one packet alone."""
    cdef aside_t aside
    cdef uint32_t used
    aside_init(&aside)
    used = queue_take_on(self, overhead, limit, transmit_limit, take, ctx, &aside)
    queue_return(self, &aside)
    return used


cdef inline bint queue_has_unsent(const queue_t* self) noexcept nogil:
    """Whether some item was never taken."""
    return (self.count > 0 and self.tier_capacity > 0 and self.tiers[0] != NULL
            and self.tiers[0].count > 0)


cdef void queue_prune(queue_t* self, uint32_t k) noexcept nogil:
    """Finish the last in order until k are left: most transmits, shortest, oldest."""
    cdef uint32_t length
    cdef tier_t* tier
    cdef broadcast_t* item
    while self.count > k:
        queue_tighten(self)
        tier = self.tiers[self.highest]
        length = tier_shortest(tier)
        item = tier.pages[length >> 6].buckets[length & 63].oldest
        queue_lift(self, item)
        queue_finish(self, item)


cdef uint32_t queue_next_finished(queue_t* self) noexcept nogil:
    """The `notify` of the item that finished first and was not returned yet; 0: there is none."""
    cdef broadcast_t* item = self.finished
    cdef uint32_t notify
    if item == NULL:
        return 0
    notify = item.notify
    self.finished = item.older
    free(item)
    return notify
