# planted.pxi: bugs that a build for tests alone can be told to have, so that the simulator's checks
# can be seen to find them. Every other build has none of this: there `planted` is the constant 0.

cdef extern from *:
    """
    #ifdef GOSSIP_PLANTED
    static int gossip_planted_bug = 0;
    #define gossip_planted(bug) (gossip_planted_bug == (bug))
    #define gossip_plant(bug) (gossip_planted_bug = (bug), 1)
    #else
    #define gossip_planted(bug) 0
    #define gossip_plant(bug) ((void)(bug), 0)
    #endif
    """
    bint planted "gossip_planted"(int bug) noexcept nogil
    bint gossip_plant(int bug) noexcept nogil

cdef enum:
    BUG_RESURRECTION = 1        # an alive claim as old as the death is believed
    BUG_FORGOTTEN_TIMER         # a refutation leaves the timer of the suspicion running
    BUG_MISCOUNT                # a member that leaves is counted twice
    BUG_SELF_DEATH              # a node believes that it is dead
    BUG_STALE_META              # new metadata under an old incarnation
    BUG_TOLD_TWICE              # a user event is told whenever it is heard
    BUG_UNTOLD_FAILURE          # Serf does not hear who failed or left
    BUG_CLOCK_BACK              # a Lamport clock follows the last time heard

PLANTED_BUGS = ("", "resurrection", "forgotten timer", "miscount", "self death", "stale metadata",
                "told twice", "untold failure", "clock back")
assert len(PLANTED_BUGS) == BUG_CLOCK_BACK + 1


def plant(str bug):
    """Has all cores of this process one of PLANTED_BUGS from now on; RuntimeError in a build
    without them."""
    if not gossip_plant(PLANTED_BUGS.index(bug)):
        raise RuntimeError("this build has no planted bugs: build with GOSSIP_PLANTED=1")
