# merge.pxi: the rules of membership: a claim and what we know in, a verdict out (protocol §19).
#
# Nothing here reads a table, writes one, sends, counts or remembers. `judge` looks at a small
# question and answers with one verdict; swim.pxi asks, and acts on the answer. So the rules can be
# read in one sitting, and a test enumerates every question there is.
#
# A claim says of a node that it is alive, suspect or dead, as of an incarnation. Only the node
# itself raises its incarnation, and that is what orders claims:
#
#   - alive needs a newer incarnation to win. So only the node itself can clear a suspicion of
#     itself, by refuting with an incarnation its accusers have not seen.
#   - suspect and dead win at an equal incarnation: bad news about the same life is later news.
#   - dead never becomes left and left never becomes dead: the first end of a life stands.
#   - a claim against ourselves is never believed, but refuted; unless we are leaving, when being
#     called dead is how a leave ends.
#
# A name belongs to the address it is alive at. An alive claim from another address is a conflict
# whatever its incarnation, and is decided before incarnations are compared; unless the name is free
# to be reclaimed: its node has left, or has been dead for longer than the reclaim time.
#
# Two things differ from memberlist on purpose.
#
#   - memberlist enters an unknown node as dead at incarnation 0 first, and then stops at an alive
#     claim of incarnation 0: a dead row without an event remains. Here such a claim is ignored.
#   - A name that waits for accept_member, or that it refused, is not the rules' business: every
#     claim about it is ignored, until the answer makes it a member.

cdef enum State:
    STATE_ALIVE = 0             # the wire's numbers (protocol §10.3)
    STATE_SUSPECT = 1
    STATE_DEAD = 2
    STATE_LEFT = 3
    STATE_PENDING = 4           # in the table, but no member: accept_member was asked
    STATE_REFUSED = 5           # and said no
    STATES
    STATE_UNKNOWN = 255         # not in the table

cdef enum Claim:
    CLAIM_ALIVE
    CLAIM_SUSPECT
    CLAIM_DEAD

cdef enum Relation:             # the claim's incarnation against the table's; unknown counts as 0
    RELATION_OLDER
    RELATION_EQUAL
    RELATION_NEWER

cdef enum Verdict:
    VERDICT_IGNORE = 0
    VERDICT_ACCEPT              # alive: enter or update the member, end its suspicion, re-broadcast
    VERDICT_RECLAIM             # the same, at a new address, and the incarnation may go down
    VERDICT_CONFLICT            # two nodes use one name: tell the user, change nothing
    VERDICT_SUSPECT             # mark suspect, take the incarnation, start the timer, re-broadcast
    VERDICT_CONFIRM             # one more accuser; re-broadcast if it counted, keep the incarnation
    VERDICT_FAIL                # dead: end the suspicion, take the incarnation, re-broadcast
    VERDICT_LEAVE               # the same, but the node said so itself: left
    VERDICT_REFUTE              # it is about us and wrong: claim to be alive at a newer incarnation

VERDICT_NAMES = (
    "ignore", "accept", "reclaim", "conflict", "suspect", "confirm", "fail", "leave", "refute",
)

cdef struct question_t:
    uint8_t claim               # Claim
    uint8_t state               # State of the node in our table
    uint8_t relation            # Relation
    bint is_self                # the claim is about this node
    bint own                    # alive: made by this node itself, at start or by update_meta
    bint same_address           # alive: address bytes and port are those in the table
    bint reclaim_elapsed        # alive: a reclaim time is set, and more has passed since the death
    bint same_content           # alive: meta and versions are those in the table
    bint graceful               # dead: From is the node itself
    bint leaving                # leave was called on this node
    bint has_suspicion          # a suspicion about the node is running


cdef inline uint8_t relation_of(uint32_t claimed, uint32_t known) noexcept nogil:
    if claimed < known:
        return RELATION_OLDER
    return RELATION_EQUAL if claimed == known else RELATION_NEWER


cdef int judge_alive_self(const question_t* q) noexcept nogil:
    if q.leaving or q.state == STATE_DEAD or q.state == STATE_LEFT:
        return VERDICT_IGNORE       # there is no un-leave
    if q.state == STATE_UNKNOWN:
        return VERDICT_ACCEPT if q.own else VERDICT_IGNORE
    if not q.same_address:
        return VERDICT_CONFLICT     # the existing one is us
    if q.relation == RELATION_OLDER:
        return VERDICT_IGNORE
    if q.own:
        return VERDICT_ACCEPT       # our own words are not refuted
    if q.relation == RELATION_EQUAL and q.same_content:
        return VERDICT_IGNORE       # our own words come back
    return VERDICT_REFUTE


cdef int judge_alive(const question_t* q) noexcept nogil:
    if q.is_self:
        return judge_alive_self(q)
    if q.state == STATE_UNKNOWN:
        return VERDICT_ACCEPT if q.relation == RELATION_NEWER else VERDICT_IGNORE
    if not q.same_address:
        if q.state == STATE_LEFT:
            return VERDICT_RECLAIM
        if q.state == STATE_DEAD and q.reclaim_elapsed:
            return VERDICT_RECLAIM
        return VERDICT_CONFLICT
    return VERDICT_ACCEPT if q.relation == RELATION_NEWER else VERDICT_IGNORE


cdef int judge_suspect(const question_t* q) noexcept nogil:
    if q.state == STATE_UNKNOWN or q.relation == RELATION_OLDER:
        return VERDICT_IGNORE
    if q.has_suspicion:
        return VERDICT_CONFIRM
    if q.state != STATE_ALIVE:
        return VERDICT_IGNORE
    if q.is_self:
        return VERDICT_REFUTE       # also while leaving
    return VERDICT_SUSPECT


cdef int judge_dead(const question_t* q) noexcept nogil:
    if q.state == STATE_UNKNOWN or q.relation == RELATION_OLDER:
        return VERDICT_IGNORE
    if q.state == STATE_DEAD or q.state == STATE_LEFT:
        return VERDICT_IGNORE       # the first end stands
    if q.is_self and not q.leaving:
        return VERDICT_REFUTE
    return VERDICT_LEAVE if q.graceful else VERDICT_FAIL


cdef int judge(const question_t* q) noexcept nogil:
    """The verdict on a claim. A function of the question alone."""
    if q.state == STATE_PENDING or q.state == STATE_REFUSED:
        return VERDICT_IGNORE
    if q.claim == CLAIM_ALIVE:
        return judge_alive(q)
    if q.claim == CLAIM_SUSPECT:
        return judge_suspect(q)
    return judge_dead(q)
