# engine.pxi: the class Engine, a Python shell that owns one world. It converts and checks; what
# happens is decided above.

PORT = 7946
TOLD_NAMES = ("joined", "updated", "suspected", "confirmed", "refuted", "failed", "left",
              "conflict", "other")
STATE_NAMES = ("alive", "suspect", "dead", "left")
EPOCH_NS = 1_000_000_000_000        # the first moment: durations that go back from it stay above 0

cdef tuple _DELAYS = ("fixed", "uniform", "exponential")
cdef tuple _PAUSES = (None, "frozen", "blocked")


@cython.final
cdef class Engine:
    """One simulation of at most so many nodes. Times are ns of its own clock."""

    cdef world_t w
    cdef list swims
    cdef object hasher
    cdef readonly Scratch scratch
    cdef readonly object identities

    def __cinit__(self, uint64_t seed, uint32_t capacity):
        cdef world_t* w = &self.w
        self.scratch = Scratch()
        self.identities = Identities(seed)
        self.hasher = xxhash.xxh3_64()
        self.swims = []
        w.hasher = <void*>self.hasher
        w.out = self.scratch.out
        w.now = EPOCH_NS
        w.mtu = 65536
        w.capacity = capacity
        w.free_pipe = NONE
        rng_start(&w.rng, seed)
        w.nodes = <node_t*>calloc(max(capacity, 1), sizeof(node_t))
        w.trace = <uint8_t*>malloc(TRACE_BYTES)
        if w.nodes == NULL or w.trace == NULL:
            raise MemoryError()

    def __dealloc__(self):
        cdef uint32_t i
        cdef world_t* w = &self.w
        if w.nodes != NULL:
            for i in range(w.count):
                drop_inbox(w, i)
                free(w.nodes[i].shadows)
                free(w.nodes[i].said)
                free(w.nodes[i].user_events.slots)
                free(w.nodes[i].pipes)
        for i in range(w.pipe_count):
            flow_clear(&w.pipes[i].flows[0])
            flow_clear(&w.pipes[i].flows[1])
        heap_free(&w.heap)
        links_clear(&w.links)
        free(w.nodes)
        free(w.slots)
        free(w.pipes)
        free(w.log)
        free(w.trace)

    cdef node_t* _node(self, uint32_t number) except NULL:
        if number >= self.w.count:
            raise IndexError(f"there is no node {number}")
        return &self.w.nodes[number]

    # --- nodes ---

    def new_address(self, bint ipv6=False):
        """An address that nobody has: 4 bytes, or 16."""
        cdef world_t* w = &self.w
        cdef uint32_t capacity, slot
        cdef uint32_t* slots
        if w.slot_count >= <uint32_t>1 << 24:
            raise ValueError("no addresses are left")
        if w.slot_count == 0:
            w.slot_count = 1                  # 10.0.0.0 is nobody's
        if w.slot_count >= w.slot_capacity:
            capacity = max(<uint32_t>64, 2 * w.slot_capacity)
            slots = <uint32_t*>realloc(w.slots, capacity * sizeof(uint32_t))
            if slots == NULL:
                raise MemoryError()
            w.slots = slots
            w.slot_capacity = capacity
            w.slots[0] = NONE
        slot = w.slot_count
        w.slots[slot] = NONE
        w.slot_count += 1
        tail = bytes((slot >> 16, (slot >> 8) & 255, slot & 255))
        return bytes((0xfd,)) + bytes(12) + tail if ipv6 else bytes((10,)) + tail

    def add(self):
        """One more node, which runs nothing yet; its number."""
        cdef world_t* w = &self.w
        cdef node_t* node
        if w.count == w.capacity:
            raise ValueError(f"the simulation was made for {w.capacity} nodes")
        node = &w.nodes[w.count]
        node.armed = NEVER
        w.count += 1
        self.swims.append(None)
        return w.count - 1

    def start(self, uint32_t number, Swim swim not None, bytes address not None,
              int64_t clock=0):
        """Runs a core, made with this engine's scratch and identities, at an address."""
        cdef node_t* node = self._node(number)
        cdef addr_t addr
        if node.up:
            raise RuntimeError("the node runs")
        if swim.scratch is not self.scratch:
            raise ValueError("the core was not made with the scratch of this engine")
        memset(&addr, 0, sizeof(addr))
        addr.len = <uint8_t>len(address)
        memcpy(addr.ip, <const char*>address, min(len(address), 16))
        addr.port = PORT
        if node_at(&self.w, slot_of(&addr)) not in (NONE, number):
            raise ValueError("another node has that address")
        node.address = addr
        node.slot = slot_of(&addr)
        self.w.slots[node.slot] = number
        node.swim = swim.swim
        node.up = True
        node.leaving = False
        node.pause = PAUSE_NONE
        node.stuck = False
        node.armed = NEVER
        node.busy_until = 0
        node.incarnation = 0
        free(node.shadows)
        node.shadows = NULL
        node.looks = 0
        node.heard = 0
        node.largest = 0
        memset(node.clocks, 0, sizeof(node.clocks))
        free(node.user_events.slots)
        memset(&node.user_events, 0, sizeof(node.user_events))
        self.swims[number] = swim
        swim.start(clock_of(&self.w, node), clock)
        after(&self.w, number)

    def introduce_all(self):
        """Has all that run hold each other as if they had always been there; not with checks on."""
        cdef uint32_t i, j
        cdef bint done = True
        if self.w.check_every:
            raise ValueError("nobody could tell these members from a broken rule")
        with nogil:
            for i in range(self.w.count):
                for j in range(self.w.count):
                    if self.w.nodes[i].up and self.w.nodes[j].up:
                        done = done and swim_introduce(self.w.nodes[i].swim, self.w.nodes[j].swim)
        if not done:
            raise MemoryError()

    def crash(self, uint32_t number):
        """The process is gone without a word; its system resets its streams."""
        cdef node_t* node = self._node(number)
        if not node.up:
            raise RuntimeError("the node does not run")
        drop_streams(&self.w, number)
        drop_inbox(&self.w, number)
        node.up = False
        node.pause = PAUSE_NONE
        node.armed = NEVER

    def touch(self, uint32_t number, bint leaving=False):
        """To be called after each call of a core by others than this engine."""
        cdef node_t* node = self._node(number)
        node.leaving = node.leaving or leaving
        after(&self.w, number)

    def watch(self, uint32_t number, bint watched):
        """Whether a node's events are left in its core; `run` then stops for them."""
        self._node(number).watched = watched

    def waiting(self):
        """The watched nodes whose events are to be taken, by their numbers."""
        cdef uint32_t i
        return [i for i in range(self.w.count)
                if self.w.nodes[i].up and self.w.nodes[i].watched
                and swim_events(self.w.nodes[i].swim)]

    def note(self, uint32_t number, bytes text not None):
        """Has the trace cover what a node's user was told."""
        trace(&self.w, TRACE_NOTE, number, NONE, <const uint8_t*><const char*>text,
              <uint32_t>len(text))

    def paused_until(self, uint32_t number):
        """When a frozen node runs again; the present when it is not frozen."""
        cdef node_t* node = self._node(number)
        return max(self.w.now, node.paused_until if node.pause == PAUSE_FROZEN else 0)

    def pause(self, uint32_t number, int64_t duration_ns, str how="frozen"):
        """For so long: "frozen": nothing runs; "blocked": sends and receives stand still, as in
        Lifeguard's experiments, while timers run."""
        cdef node_t* node = self._node(number)
        node.pause = <uint8_t>_PAUSES.index(how)
        node.paused_until = max(node.paused_until, self.w.now + duration_ns)
        plan(&self.w, node.paused_until, HAPPENS_THAW, number, NONE, 0, NULL)

    def jump(self, uint32_t number, int64_t offset_ns):
        """Moves a node's clock, forward or back."""
        cdef node_t* node = self._node(number)
        node.offset_ns += offset_ns
        node.armed = NEVER
        if node.up and node.pause != PAUSE_FROZEN:
            arm(&self.w, number)

    def slow(self, uint32_t number, int64_t entry_ns):
        """What each packet and each tick takes of a node's only processor."""
        self._node(number).slow_ns = entry_ns

    def clock(self, uint32_t number):
        """A node's own time."""
        return clock_of(&self.w, self._node(number))

    def is_up(self, uint32_t number):
        return bool(self._node(number).up)

    # --- the network ---

    def network(self, *, double loss=0, double stream_loss=-1, double duplicates=0,
                double reordered=0, int64_t reorder_ns=0, double replays=0, double resets=0,
                bint pieces=False, uint32_t mtu=65536, uint32_t socket_bytes=0):
        """Of all links: probabilities, by how much the reordered are late, whether what is written
        to streams is cut, the largest datagram, and what may wait in a socket (0: no bound)."""
        self.w.stream_loss = loss if stream_loss < 0 else stream_loss
        self.w.replays = replays
        self.w.resets = resets
        self.w.pieces = pieces
        self.w.socket_bytes = socket_bytes
        self.w.loss = loss
        self.w.duplicates = duplicates
        self.w.reordered = reordered
        self.w.reorder_ns = reorder_ns
        self.w.mtu = mtu

    def delay(self, str kind, int64_t low_ns, int64_t high_ns=0, int source=-1, int target=-1):
        """Between two zones, or between all. "uniform": low to high; "exponential": low, and above
        it with a mean of high."""
        cdef delay_t delay
        cdef int a, b
        delay.kind = <uint8_t>_DELAYS.index(kind)
        delay.low_ns = low_ns
        delay.high_ns = high_ns
        if max(source, target) >= ZONES:
            raise ValueError(f"there are {ZONES} zones")
        for a in range(ZONES):
            for b in range(ZONES):
                if source in (-1, a) and target in (-1, b):
                    self.w.delays[a][b] = delay

    def zone(self, uint32_t number, uint8_t zone):
        if zone >= ZONES:
            raise ValueError(f"there are {ZONES} zones")
        self._node(number).zone = zone

    def side(self, uint32_t number, uint8_t side):
        if side >= SIDES:
            raise ValueError(f"there are {SIDES} sides")
        self._node(number).side = side

    def cut(self, int source, int target, bint datagrams=True, bint streams=True):
        """What does not pass from one side to another any more; all that is cut is said anew."""
        self.w.cuts[source][target] = ((CUT_DATAGRAMS if datagrams else 0)
                                       | (CUT_STREAMS if streams else 0))

    def heal(self):
        """Nothing is cut any more, and no link is special."""
        cdef uint32_t i
        memset(self.w.cuts, 0, sizeof(self.w.cuts))
        links_clear(&self.w.links)
        for i in range(self.w.count):
            self.w.nodes[i].side = 0

    def line(self, uint32_t number, *, double loss_in=0, double loss_out=0, int64_t rate=0):
        """Of one node: what is lost on its way in and out, and bytes a second out (0: no bound)."""
        cdef node_t* node = self._node(number)
        node.loss_in = loss_in
        node.loss_out = loss_out
        node.rate = rate

    def link(self, uint32_t source, uint32_t target, *, double loss=0, int64_t delay_ns=0,
             int64_t clog_ns=0, bint datagrams=True, bint streams=True):
        """Of one way: its loss, what it takes longer, how long it holds all back, what passes."""
        cdef link_t* link
        self._node(source)
        self._node(target)
        link = link_make(&self.w.links, source, target)
        if link == NULL:
            raise MemoryError()
        link.loss = loss
        link.delay_ns = delay_ns
        link.clogged_until = self.w.now + clog_ns
        link.cut_datagrams = not datagrams
        link.cut_streams = not streams

    # --- time ---

    @property
    def now(self):
        return self.w.now

    def run(self, int64_t until):
        """Moves the world until then; False: it stopped before, for a watched node's events or a
        violation."""
        if until < self.w.now:
            raise ValueError("time does not go back")
        with nogil:
            run_until(&self.w, until)
        if self.w.failed:
            raise MemoryError()
        return not self.w.stop

    # --- looking ---

    def log(self, *kinds):
        """Which events of nodes that are not watched `take_log` shall give, by their names."""
        self.w.log_kinds = 0
        for kind in kinds:
            self.w.log_kinds |= <uint32_t>1 << TOLD_NAMES.index(kind)

    def take_log(self):
        """(ns, node, kind, about which node, incarnation), oldest first."""
        cdef record_t* record
        cdef uint32_t i
        taken = []
        for i in range(self.w.log_count):
            record = &self.w.log[i]
            taken.append((record.at, record.node, TOLD_NAMES[record.kind], record.about,
                          record.incarnation))
        self.w.log_count = 0
        return taken

    def rows(self, uint32_t number):
        """What a node holds: {node: (state, incarnation, ns since)}; itself included."""
        cdef node_t* node = self._node(number)
        cdef seen_t seen
        cdef uint32_t row
        held = {}
        if node.swim == NULL:
            return held
        for row in range(swim_rows(node.swim)):
            if swim_row(node.swim, row, &seen):
                held[node_at(&self.w, slot_of(&seen.address))] = (
                    STATE_NAMES[seen.state], seen.incarnation, seen.since_ns)
        return held

    def counts_of(self, uint32_t number):
        """How many rows of each state a node's table counts, in the order of STATE_NAMES."""
        cdef gauges_t gauges
        cdef node_t* node = self._node(number)
        if node.swim == NULL:
            return (0, 0, 0, 0)
        swim_gauges(node.swim, &gauges)
        return (gauges.rows[0], gauges.rows[1], gauges.rows[2], gauges.rows[3])

    def agreed(self):
        """Whether all that are up hold just each other, alive and at their own incarnations, their
        Serf layers too, with their own tags."""
        cdef uint32_t i
        for i in range(self.w.count):
            if (self.w.nodes[i].up and not self.w.nodes[i].leaving
                    and not (agrees(&self.w, i) and serf_agrees(&self.w, i))):
                return False
        return True

    def counts(self):
        """What the network carried, what happened, and how often members were told of."""
        cdef uint32_t i
        cdef uint64_t messages = 0
        for i in range(self.w.count):
            if self.w.nodes[i].swim != NULL:
                messages += swim_messages(self.w.nodes[i].swim)
        counts = {name: self.w.counts[i] for i, name in enumerate(COUNTER_NAMES)}
        counts["messages"] = messages
        counts |= {name: self.w.told[i] for i, name in enumerate(TOLD_NAMES)}
        return counts

    @property
    def streams(self):
        """How many streams are not over: open at an end, or with something on its way."""
        cdef uint32_t i
        return sum(self.w.pipes[i].used for i in range(self.w.pipe_count))

    @property
    def trace(self):
        """The hash of all that arrived and was told so far, in order."""
        trace_flush(&self.w)
        return self.hasher.hexdigest()

    # --- checks ---

    def check(self, uint32_t every, int64_t forget_ns):
        """Looks at a node at each so many of its entries (0: never); the gone must be remembered
        for that long. To be called before the first start."""
        self.w.check_every = every
        self.w.forget_ns = forget_ns

    @property
    def violation(self):
        """(what, ns, node, about which node, state and incarnation before, and now) or None."""
        cdef violation_t* v = &self.w.violation
        if v.code == 0:
            return None
        return (VIOLATIONS[v.code], v.at, v.node, v.about,
                (STATE_NAMES[v.before.state], v.before.incarnation),
                (STATE_NAMES[v.now.state], v.now.incarnation))
