# lock.pxi: the shell's lock, for a core that a thread of its own enters as well. The core below the
# shell knows none.
#
# It is held for a call of the core, never for a system call. Two rules, each a hang when broken:
# wait for it only with the GIL released; while it is held make no Python object and call no Python
# (but for an AEAD that is one), and do not wait for the GIL.

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t* mutex, void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_trylock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil,
                       void (*child)() noexcept nogil)

cdef struct lock_t:
    pthread_mutex_t mutex
    uint64_t process        # which it was made in

# How many forks this process is away from the first. A child finds a lock as its parent's threads
# left it, and a core perhaps in the middle of a change: it touches neither.
cdef uint64_t process = 0


cdef void forked_child() noexcept nogil:
    global process
    process += 1


pthread_atfork(NULL, NULL, forked_child)


cdef lock_t* lock_new() noexcept:
    cdef lock_t* lock = <lock_t*>malloc(sizeof(lock_t))
    if lock != NULL:
        lock.process = process
        pthread_mutex_init(&lock.mutex, NULL)
    return lock


cdef bint lock_is_foreign(const lock_t* lock) noexcept nogil:
    """Whether the lock, and what it guards, is the copy of a parent process."""
    return lock != NULL and lock.process != process


cdef void lock_free(lock_t* lock) noexcept nogil:
    if lock != NULL and not lock_is_foreign(lock):
        pthread_mutex_destroy(&lock.mutex)
        free(lock)


cdef void lock_take(lock_t* lock) noexcept nogil:
    """Waits for the lock; NULL is free. Not with the GIL held."""
    if lock != NULL:
        pthread_mutex_lock(&lock.mutex)


cdef void lock_release(lock_t* lock) noexcept nogil:
    if lock != NULL:
        pthread_mutex_unlock(&lock.mutex)


cdef void lock_take_with_gil(lock_t* lock) noexcept:
    """The same for whoever holds the GIL. It is free while this waits, and is not waited for with
    the lock held: then the other thread would wait for the interpreter, too."""
    if lock == NULL:
        return
    while pthread_mutex_trylock(&lock.mutex) != 0:
        with nogil:
            pthread_mutex_lock(&lock.mutex)
            pthread_mutex_unlock(&lock.mutex)
