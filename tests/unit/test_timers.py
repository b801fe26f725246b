"""The heap of deadlines: order of firing, handles, and a sorted list beside it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gossip._core import TimerHeap

NEVER = 2**63 - 1
KINDS = 10


def drain(timers: TimerHeap, now: int = NEVER) -> list[tuple[int, int, int]]:
    fired = []
    while (timer := timers.pop_due(now)) is not None:
        fired.append(timer[:3])
    return fired


def test_without_a_timer_there_is_no_deadline() -> None:
    timers = TimerHeap()
    assert timers.next() == (NEVER, -1)
    assert timers.pop_due(NEVER) is None


def test_timers_fire_by_deadline_then_kind_then_the_order_they_were_armed_in() -> None:
    timers = TimerHeap()
    for kind, ref, deadline in [(4, 0, 5), (0, 1, 5), (4, 2, 5), (9, 3, 4), (0, 4, 5)]:
        timers.arm(kind, ref, deadline)
    assert timers.next() == (4, 9)
    assert drain(timers) == [(9, 3, 4), (0, 1, 5), (0, 4, 5), (4, 0, 5), (4, 2, 5)]


def test_a_timer_is_due_at_its_deadline_and_not_before() -> None:
    timers = TimerHeap()
    timers.arm(3, 42, 10)
    assert timers.pop_due(9) is None
    assert timers.pop_due(10) is not None


def test_a_rearmed_timer_counts_as_armed_last() -> None:
    timers = TimerHeap()
    first = timers.arm(3, 1, 10)
    timers.arm(3, 2, 10)
    timers.rearm(first, 10)
    assert drain(timers) == [(3, 2, 10), (3, 1, 10)]


def test_no_handle_is_nothing_to_cancel_or_move() -> None:
    timers = TimerHeap()
    timers.arm(3, 1, 10)
    timers.cancel(-1)
    timers.rearm(-1, 0)
    assert drain(timers) == [(3, 1, 10)]


class TimersBesideASortedList(RuleBasedStateMachine):
    """The same calls on the heap and on a list that is sorted each time it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = TimerHeap()
        self.armed: dict[int, tuple[int, int, int, int]] = {}
        self.sequence = 0

    def note(self, handle: int, kind: int, ref: int, deadline: int) -> None:
        self.armed[handle] = (deadline, kind, self.sequence, ref)
        self.sequence += 1

    @rule(kind=st.integers(0, KINDS - 1), deadline=st.integers(0, 20))
    def arm(self, kind: int, deadline: int) -> None:
        handle = self.timers.arm(kind, self.sequence, deadline)
        assert handle >= 0
        assert handle not in self.armed
        self.note(handle, kind, self.sequence, deadline)

    @precondition(lambda self: self.armed)
    @rule(data=st.data(), deadline=st.integers(0, 20))
    def rearm(self, data: st.DataObject, deadline: int) -> None:
        handle = data.draw(st.sampled_from(sorted(self.armed)))
        _, kind, _, ref = self.armed[handle]
        self.timers.rearm(handle, deadline)
        self.note(handle, kind, ref, deadline)

    @precondition(lambda self: self.armed)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(sorted(self.armed)))
        self.timers.cancel(handle)
        del self.armed[handle]

    @rule(now=st.integers(0, 20))
    def pop(self, now: int) -> None:
        popped = self.timers.pop_due(now)
        due = [(timer, handle) for handle, timer in self.armed.items() if timer[0] <= now]
        if not due:
            assert popped is None
            return
        (deadline, kind, _, ref), handle = min(due)
        assert popped == (kind, ref, deadline, handle)
        del self.armed[handle]

    @invariant()
    def agrees(self) -> None:
        assert len(self.timers) == len(self.armed)
        first = min(self.armed.values(), default=(NEVER, -1, 0, 0))
        assert self.timers.next() == first[:2]


TestTimersBesideASortedList = TimersBesideASortedList.TestCase
