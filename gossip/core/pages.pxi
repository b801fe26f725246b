# pages.pxi: numbered items of one size, in pages: growing moves no item and copies none.
#
# So a pointer to an item is good as long as the item is, and to grow costs the same at any size.

cdef enum:
    PAGE_BITS = 8
    PAGE_ITEMS = 1 << PAGE_BITS

cdef struct pages_t:
    void** pages
    uint32_t count              # items there is room for
    uint32_t room               # pages that the list of pages has room for
    uint32_t item_bytes


cdef inline void pages_init(pages_t* self, size_t item_bytes) noexcept nogil:
    memset(self, 0, sizeof(pages_t))
    self.item_bytes = <uint32_t>item_bytes


cdef bint pages_grow(pages_t* self) noexcept nogil:
    """Room for a page more, all zero; False without memory."""
    cdef uint32_t number = self.count >> PAGE_BITS
    cdef uint32_t room = max(<uint32_t>4, 2 * self.room)
    cdef void** pages
    if self.count >= <uint32_t>1 << 30:
        return False
    if number == self.room:
        pages = <void**>realloc(self.pages, room * sizeof(void*))
        if pages == NULL:
            return False
        self.pages = pages
        self.room = room
    self.pages[number] = calloc(PAGE_ITEMS, self.item_bytes)
    if self.pages[number] == NULL:
        return False
    self.count += PAGE_ITEMS
    return True


cdef void pages_free(pages_t* self) noexcept nogil:
    cdef uint32_t number
    for number in range(self.count >> PAGE_BITS):
        free(self.pages[number])
    free(self.pages)
    pages_init(self, self.item_bytes)


cdef inline void* page_of(const pages_t* self, uint32_t at) noexcept nogil:
    """The page that item `at` is in; there it is number `in_page(at)`."""
    return self.pages[at >> PAGE_BITS]


cdef inline uint32_t in_page(uint32_t at) noexcept nogil:
    return at & (PAGE_ITEMS - 1)
