"""The simulator's engine: many cores, one clock, one network, in virtual time and without the GIL.

The cores are those of production; what they send goes through their own encoding and decoding. No
clock is read and no system randomness used: the same calls give the same trace. What a scenario is
stands in the package `gossip.sim`.
"""

from libc.math cimport log
from libc.stdint cimport INT64_MAX, UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

cimport cython

from gossip._core cimport (
    COMMAND_OPEN,
    COMMAND_WRITE,
    MEMBER_ALIVE,
    MEMBER_DEAD,
    MEMBER_LEFT,
    MEMBER_SUSPECT,
    TOLD_FAILED,
    TOLD_JOINED,
    TOLD_LEFT,
    TOLD_CONFIRMED,
    SERF_HELD_ALIVE,
    SERF_HELD_LEAVING,
    SERF_HELD_LEFT,
    TOLD_MEMBER_FAILED,
    TOLD_MEMBER_FLAPPED,
    TOLD_MEMBER_JOIN,
    TOLD_MEMBER_LEAVE,
    TOLD_MEMBER_REAP,
    TOLD_MEMBER_UPDATE,
    TOLD_OTHER,
    TOLD_REFUTED,
    TOLD_SUSPECTED,
    TOLD_UPDATED,
    TOLD_USER_EVENT,
    Scratch,
    Swim,
    addr_t,
    batch_t,
    command_free,
    command_t,
    gauges_t,
    rng_draw,
    rng_pick,
    rng_start,
    rng_t,
    seen_t,
    serf_gauges_t,
    serf_seen_t,
    slot_t,
    swim_accept,
    swim_ended,
    swim_events,
    swim_failed,
    swim_forget_events,
    swim_gauges,
    swim_gossips,
    swim_hold_probe,
    swim_introduce,
    swim_look_event,
    swim_messages,
    swim_next_deadline,
    swim_opened,
    swim_packet_max,
    swim_pause_gossip,
    swim_print,
    swim_probe_sends,
    swim_receive,
    swim_release_probe,
    swim_row,
    swim_rows,
    swim_serf_gauges,
    swim_serf_row,
    swim_serf_rows,
    swim_streamed,
    swim_take_command,
    swim_t,
    swim_tick,
    swim_told,
    told_t,
)

import xxhash

from gossip._core import Identities

cdef uint32_t NONE = UINT32_MAX

include "sim/happenings.pxi"        # what is going to happen, in order
include "sim/links.pxi"             # what is special about the way between two nodes
include "sim/world.pxi"             # the state of a simulation
include "sim/network.pxi"           # what becomes of datagrams
include "sim/streams.pxi"           # what becomes of streams
include "sim/checks.pxi"            # what must hold of every node
include "sim/serf_checks.pxi"       # and of its Serf layer
include "sim/motion.pxi"            # what moves the world
include "sim/engine.pxi"            # the class Engine
