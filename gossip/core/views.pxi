# views.pxi: Python objects from rows, events and commands. Only the shell uses this.

cdef tuple _EVENT_NAMES = (
    "joined", "updated", "suspected", "confirmed", "refuted", "failed", "left", "conflict",
    "message", "state", "pinged", "asked", "done", "healed", "pushed",
)
cdef tuple _COMMAND_NAMES = ("open", "write", "close")
cdef tuple _TIMER_NAMES = (
    "probe_timeout", "probe_deadline", "probe_interval", "suspicion", "gossip", "push_pull",
    "reap", "relay", "request", "stream", "queue_check", "query", "prune", "leave",
    "forced_leave", "heal", "healed",
)


cdef bytes bytes_of(slice_t view):
    if view.len == 0:
        return b""
    return (<const char*>view.ptr)[:view.len]


cdef tuple member_tuple(identity_t* identity, uint8_t state, uint32_t incarnation,
                        int64_t since_ns):
    return (bytes_of(identity_name(identity)), bytes_of(identity_addr(identity)), identity.port,
            bytes_of(identity_meta(identity)), (<const char*>identity.vsn)[:6], state,
            incarnation, since_ns)


cdef tuple row_tuple(member_t* row):
    return member_tuple(row.identity, row.state, row.incarnation, row.state_change_ns)


cdef tuple names_of(slice_t data):
    """The lost, and those of them that are back, from what `tell_healed` wrote."""
    cdef cursor_t cursor = cursor_of(data)
    cdef slice_t name
    cdef uint8_t back, length
    lost, regained = [], []
    while cursor_u8(&cursor, &back) and cursor_u8(&cursor, &length) \
            and cursor_slice(&cursor, length, &name):
        lost.append(bytes_of(name))
        if back:
            regained.append(bytes_of(name))
    return (lost, regained)


cdef tuple event_tuple(event_t* event):
    """One event in the form that the stub file documents."""
    cdef object data = b""
    cdef object member = None
    if event.kind >= EVENT_MEMBER_JOIN:
        return serf_event_tuple(event)
    cdef object name = _EVENT_NAMES[event.kind]
    if event.size:
        data = (<const char*>event.data)[:event.size]
    if event.identity != NULL:
        member = member_tuple(event.identity, event.state, event.incarnation, event.since_ns)
    if event.kind == EVENT_SUSPECTED or event.kind == EVENT_CONFIRMED:
        return (name, member, data)
    if event.kind == EVENT_FAILED:
        return (name, member, data, event.number, event.value)
    if event.kind == EVENT_CONFLICT:
        return (name, member, addr_bytes(&event.peer), event.peer.port, data)
    if event.kind == EVENT_MESSAGE:
        return (name, data, addr_bytes(&event.peer) if event.peer.len else None, event.peer.port,
                bool(event.flag))
    if event.kind == EVENT_STATE:
        return (name, data, bool(event.flag))
    if event.kind == EVENT_PINGED:
        return (name, member, event.value, data)
    if event.kind == EVENT_HEALED:
        return (name, *names_of(slice_of(event.data, event.size)))
    if event.kind == EVENT_PUSHED:
        return (name, event.number, event.incarnation, bool(event.flag))
    if event.kind == EVENT_DONE:
        return (name, event.number, data.decode("utf-8", "replace") if event.flag else None,
                event.value)
    return (name, member)


cdef bytes addr_bytes(const addr_t* addr):
    return (<const char*>addr.ip)[:addr.len]


cdef tuple command_tuple(command_t* command):
    cdef object name = _COMMAND_NAMES[command.kind]
    if command.kind == COMMAND_OPEN:
        return (name, command.stream, addr_bytes(&command.peer), command.peer.port)
    if command.kind == COMMAND_WRITE:
        return (name, command.stream, bytes_of(buffer_slice(&command.bytes)))
    return (name, command.stream)
