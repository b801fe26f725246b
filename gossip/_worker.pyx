"""The thread that runs a core: poll, an endpoint's stretch without the GIL, and poll again.

It needs the GIL to begin and to end, and never in between: whatever the interpreter does
meanwhile, packets are answered and timers fire. Knows no protocol and makes no thread.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from posix.unistd cimport close, read, write

cimport cython

from gossip._core cimport Swim, lock_release, lock_take, swim_has_output, swim_next_deadline
from gossip._udp cimport Endpoint, monotonic_ns

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
    """

    cdef Endpoint endpoint
    cdef Swim core
    cdef int to_loop, to_thread     # eventfds
    # Both threads look at these, with the core's lock.
    cdef bint stopping
    cdef bint told                  # the loop was woken and has not looked yet
    cdef int64_t sleeps_until

    def __cinit__(self, Endpoint endpoint not None):
        self.to_loop = self.to_thread = -1
        self.endpoint = endpoint
        self.core = endpoint.core
        if self.core.lock == NULL:
            raise ValueError("the core is not shared")
        self.sleeps_until = INT64_MAX
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
        """Lives until `stop`."""
        with nogil:
            self._live()

    def stop(self):
        """Has `run` return; from any thread, and more than once."""
        self.core._hold()
        self.stopping = True
        self.core._let_go()
        signal_fd(self.to_thread)

    def heard(self):
        """To be called before what waits in the core is taken: the loop is told anew after."""
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

    cdef void _live(self) noexcept nogil:
        cdef pollfd[2] fds
        cdef int64_t deadline = 0
        cdef bint blocked = False
        fds[0].fd = self.to_thread
        fds[0].events = <short>POLLIN
        fds[1].fd = self.endpoint.fd
        while self._settle(&deadline):
            fds[1].events = <short>(POLLIN | (POLLOUT if blocked else 0))
            self._wait(fds, deadline)
            if fds[0].revents:
                clear_fd(self.to_thread)
            if fds[1].revents & POLLNVAL:
                return
            if fds[1].revents & ~POLLOUT:
                self.endpoint.take_in()
            elif fds[1].revents:
                self.endpoint.send_out()
            if monotonic_ns() >= deadline:
                self.endpoint.advance()
            blocked = self.endpoint.sent < self.endpoint.out.count

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
