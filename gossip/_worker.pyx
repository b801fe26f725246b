"""The thread that runs a core: poll, an endpoint's stretch without the GIL, and poll again.

It needs the GIL to begin and to end, and never in between: whatever the interpreter does
meanwhile, packets are answered and timers fire. Unless it is told to lose patience: a loop that has
not turned for so long silences it. Knows no protocol and makes no thread.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from posix.unistd cimport close, read, write

cimport cython

from gossip._core cimport Swim, lock_release, lock_take, swim_has_output, swim_next_deadline
from gossip._udp cimport UNDONE_, Endpoint, monotonic_ns

cdef extern from *:
    """
    #define gossip_load(at) __atomic_load_n((at), __ATOMIC_SEQ_CST)
    #define gossip_store(at, value) __atomic_store_n((at), (value), __ATOMIC_SEQ_CST)
    """
    # What both threads look at without the lock. The order counts: the one says that it falls
    # silent and then looks at the beat, the other beats and then looks whether that is silence.
    int64_t gossip_load(int64_t* at) noexcept nogil
    void gossip_store(int64_t* at, int64_t value) noexcept nogil

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int start, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int ppoll(pollfd* fds, unsigned long count, const timespec* timeout, const void* signals)
    int POLLIN, POLLNVAL, POLLOUT

cdef enum:
    SECOND_NS = 1_000_000_000


cdef void signal_fd(int fd) noexcept nogil:
    """Makes an eventfd readable; it stays so until it is read."""
    cdef uint64_t one = 1
    while write(fd, &one, sizeof(one)) < 0 and errno == EINTR:
        pass


cdef void clear_fd(int fd) noexcept nogil:
    cdef uint64_t count
    while read(fd, &count, sizeof(count)) < 0 and errno == EINTR:
        pass


@cython.final
cdef class Worker:
    """Runs an endpoint that lives apart, and its core, on the thread that calls `run`.

    The loop hears through one file descriptor that something waits in the core: at most once until
    it calls `heard`, however much there is. The core must be shared (`Swim.share`).

    patience_ns: `run` returns when the loop has not called `beat` or `heard` for so long.
    """

    cdef Endpoint endpoint
    cdef Swim core
    cdef int to_loop, to_thread     # eventfds
    # Both threads look at these, with the core's lock.
    cdef bint stopping
    cdef bint told                  # the loop was woken and has not looked yet
    cdef int64_t sleeps_until
    # Atomic, without the lock.
    cdef int64_t beaten_ns          # when the loop turned last
    cdef int64_t silent             # the thread waits for the loop's next turn
    cdef int64_t fell_silent        # how often
    cdef int64_t patience_ns        # never changes

    def __cinit__(self, Endpoint endpoint not None, *, int64_t patience_ns=INT64_MAX):
        self.to_loop = self.to_thread = -1
        self.endpoint = endpoint
        self.core = endpoint.core
        if self.core.lock == NULL:
            raise ValueError("the core is not shared")
        self.sleeps_until = INT64_MAX
        self.patience_ns = patience_ns
        self.beaten_ns = monotonic_ns()
        self.to_loop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.to_thread = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.to_loop < 0 or self.to_thread < 0:
            raise OSError(errno, "there is no descriptor for an eventfd")

    def __dealloc__(self):
        if self.to_loop >= 0:
            close(self.to_loop)
        if self.to_thread >= 0:
            close(self.to_thread)

    def fileno(self):
        """What becomes readable when something waits in the core."""
        return self.to_loop

    def run(self):
        """Lives until `stop`, and gives False; or until the loop stands still for longer than the
        patience, and gives True."""
        cdef bint stalled
        with nogil:
            stalled = self._live()
        return bool(stalled)

    def await_beat(self):
        """Sleeps until the loop turns; False when `stop` came first. Nothing is answered."""
        cdef bint goes_on
        with nogil:
            goes_on = self._wait_in_silence()
        return bool(goes_on)

    def beat(self):
        """The loop turns. To be called several times while a patience lasts."""
        gossip_store(&self.beaten_ns, monotonic_ns())
        if gossip_load(&self.silent):
            signal_fd(self.to_thread)

    @property
    def stalls(self):
        """How often the thread fell silent."""
        return gossip_load(&self.fell_silent)

    def stop(self):
        """Has `run` return; from any thread, and more than once."""
        self.core._hold()
        self.stopping = True
        self.core._let_go()
        signal_fd(self.to_thread)

    def heard(self):
        """To be called before what waits in the core is taken: the loop is told anew after."""
        self.beat()
        clear_fd(self.to_loop)
        self.core._hold()
        self.told = False
        self.core._let_go()

    def hurry(self):
        """To be called after calls of the core: wakes the thread if it would sleep too long."""
        cdef int64_t deadline = swim_next_deadline(self.core._hold())
        cdef bint sooner = deadline < self.sleeps_until
        if sooner:
            self.sleeps_until = deadline
        self.core._let_go()
        if sooner:
            signal_fd(self.to_thread)

    cdef bint _live(self) noexcept nogil:
        """Whether it ended because the loop stands still."""
        cdef pollfd[2] fds
        cdef int64_t deadline = 0
        cdef bint blocked = False
        cdef bint undone = False
        fds[0].fd = self.to_thread
        fds[0].events = <short>POLLIN
        fds[1].fd = self.endpoint.fd
        while self._settle(&deadline):
            fds[1].events = <short>(POLLIN | (POLLOUT if blocked else 0))
            self._wait(fds, 0 if undone else min(deadline, self._patient_until()))
            if monotonic_ns() >= self._patient_until():
                gossip_store(&self.fell_silent, gossip_load(&self.fell_silent) + 1)
                return True
            if fds[0].revents:
                clear_fd(self.to_thread)
            if fds[1].revents & POLLNVAL:
                return False
            if fds[1].revents & ~POLLOUT or undone:
                undone = self.endpoint.take_in() & UNDONE_
            elif fds[1].revents:
                self.endpoint.send_out()
            if monotonic_ns() >= deadline:
                self.endpoint.advance()
            blocked = self.endpoint.sent < self.endpoint.out.count
        return False

    cdef int64_t _patient_until(self) noexcept nogil:
        if self.patience_ns == INT64_MAX:
            return INT64_MAX
        return gossip_load(&self.beaten_ns) + self.patience_ns

    cdef bint _wait_in_silence(self) noexcept nogil:
        cdef pollfd[2] fds
        cdef int64_t deadline
        cdef bint goes_on = True
        fds[0].fd = self.to_thread
        fds[0].events = <short>POLLIN
        fds[1].fd = -1                  # the socket's buffer takes what comes
        gossip_store(&self.silent, 1)
        while goes_on and monotonic_ns() >= self._patient_until():
            self._wait(fds, INT64_MAX)
            clear_fd(self.to_thread)
            goes_on = self._settle(&deadline)
        gossip_store(&self.silent, 0)
        return goes_on

    cdef bint _settle(self, int64_t* deadline) noexcept nogil:
        """Tells the loop if something waits; finds how long to sleep. False when it is over."""
        cdef bint tell, goes_on
        lock_take(self.core.lock)
        goes_on = not self.stopping
        tell = not self.told and swim_has_output(self.core.swim)
        if tell:
            self.told = True
        deadline[0] = swim_next_deadline(self.core.swim)
        self.sleeps_until = deadline[0]
        lock_release(self.core.lock)
        if tell:
            signal_fd(self.to_loop)
        return goes_on

    cdef void _wait(self, pollfd* fds, int64_t deadline) noexcept nogil:
        cdef timespec timeout
        cdef int64_t left = deadline - monotonic_ns()
        fds[0].revents = 0
        fds[1].revents = 0
        if left < 0:
            left = 0
        timeout.tv_sec = left // SECOND_NS
        timeout.tv_nsec = left % SECOND_NS
        if ppoll(fds, 2, NULL if deadline == INT64_MAX else &timeout, NULL) < 0:
            fds[0].revents = 0      # a signal; there is none that is ours
            fds[1].revents = 0
