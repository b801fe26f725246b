"""Whether a call comes from a signal handler. A handler runs between any two steps of what it
interrupted, so a node could be in the middle of anything; a callback of the loop is what to use.
"""

from __future__ import annotations

import inspect
import sys
from itertools import pairwise
from types import FrameType


def handling() -> bool:
    """Whether a Python signal handler of this thread is among the callers.

    The interpreter hands a handler the frame that it interrupted, which is its caller's frame then:
    no other function is called by the frame that one of its arguments is.
    """
    frame = sys._getframe(1)
    while (back := frame.f_back) is not None:
        # Arguments are looked at only where somebody holds the frame: looking can keep them alive
        # for as long as theirs.
        if sys.getrefcount(back) > _HELD_BY_NOBODY and _was_given(frame, back):
            return True
        frame = back
    return False


def _references() -> int:
    """How many references `handling` counts to a frame that nobody else holds."""
    frame = sys._getframe(0)
    back = frame.f_back
    return sys.getrefcount(back)


_HELD_BY_NOBODY = _references()


def _was_given(frame: FrameType, what: FrameType) -> bool:
    """Whether a function was given a signal's number and a frame, as a handler is. A debugger's
    trace function gets the frame that it looks at as well, but no number before it."""
    code, values = frame.f_code, frame.f_locals
    given = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & inspect.CO_VARARGS:
        given += values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    return any(isinstance(one, int) and two is what for one, two in pairwise(given))
