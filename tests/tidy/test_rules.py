"""Each rule of the source finds the fault it is for, and leaves good text alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from ci import check_wheel

from . import cython_rules, rules

Rule = Callable[[str, str], Iterable[str]]


def unfinished(path: str, text: str) -> Iterable[str]:
    return rules.matches(rules.UNFINISHED, path, text)


def strangers(path: str, text: str) -> Iterable[str]:
    return rules.matches(rules.STRANGERS, path, text)


def body(count: int) -> str:
    return "\n".join("    pass" for _ in range(count))


# Rule, path, bad text, good text; a | keeps a bad word apart where this file must not hold it.
CASES: list[tuple[Rule, str, str, str]] = [
    (rules.long_lines, "a.py", "x" * 101, "x" * 100),
    (rules.long_file, "a.py", "x\n" * 501, "x\n" * 500),
    (rules.long_functions, "a.py", f"def f():\n{body(70)}", f"def f():\n{body(69)}"),
    (unfinished, "a.py", "# TO|DO: later", "# to do it later"),
    (unfinished, "a.pxi", "    FIX|ME", "    fixed"),
    (strangers, "a.md", "see /wo|rk/x", "see network/wo|rk/x"),
    (strangers, "a.py", "'/ho|me/me/x'", "'/etc/hosts'"),
    (strangers, "a.sh", "pip --index|-url x", "pip install x"),
    (strangers, "a.md", "https://py|pi.org/x", "https://example.org/x"),
    (rules.sleeps, "a.py", "time.sl|eep(0.1)", "await asyncio.sleep(0)"),
    (rules.sleeps, "a.py", "sleep(delay)", "sleepy(1)"),
    (rules.room_faults, "gossip/config.py", "import os", "import math"),
    (rules.room_faults, "gossip/config.py", "from os import path", "from . import errors"),
    (rules.room_faults, "gossip/config.py", "from . import memberlist", "from .errors import E"),
    (rules.room_faults, "gossip/errors.py", "import gossip", "from __future__ import annotations"),
    (rules.room_faults, "gossip/_io/a.py", "from ..agent import main", "import asyncio"),
    (rules.room_faults, "gossip/_io/a.py", "import gossip.sim", "from ..config import Config"),
    (rules.room_faults, "gossip/memberlist.py", "from .agent import x", "from ._io import x"),
    (rules.room_faults, "gossip/sim/net.py", "import random", "from .._core import Swim"),
    (
        cython_rules.long_functions,
        "a.pxi",
        f"cdef int f(\n    int x,\n) noexcept nogil:\n{body(68)}",
        f"cdef int f(\n    int x,\n) noexcept nogil:\n{body(67)}\n\ncdef int g():\n{body(1)}",
    ),
    (cython_rules.impure_imports, "a.pxi", "from posix.time cimport timespec", "import msgpack"),
    (cython_rules.impure_imports, "a.pxi", "import os", "# import os"),
    (cython_rules.contents_only, "a.pyx", "cdef int x = 1", '"""Says."""\ninclude "core/a.pxi"'),
    (cython_rules.sole_rights, "a.pxi", "x = s.ptr + 1", "x = s.ptr"),
    (cython_rules.sole_rights, "a.pxi", "x = s.ptr[0]", "x = s.ptrs[0]"),
    (cython_rules.sole_rights, "a.pxi", "x = rand()", "x = operand()"),
    (cython_rules.sole_rights, "a.pxi", "    FRUIT_MAX = 3", "    limit = FRUIT_MAX"),
]


@pytest.mark.parametrize(("rule", "path", "bad", "good"), CASES)
def test_a_rule_finds_its_fault_and_only_that(rule: Rule, path: str, bad: str, good: str) -> None:
    (fault,) = rule(path, bad.replace("|", ""))
    assert fault.startswith(f"{path}:")
    assert list(rule(path, good.replace("|", ""))) == []


def test_the_owner_of_a_right_may_use_it() -> None:
    assert list(cython_rules.sole_rights("cursor.pxi", "x = s.ptr + 1")) == []
    assert list(cython_rules.sole_rights("rng.pxi", "x = rand()")) == []
    assert list(cython_rules.sole_rights("limits.pxi", "    FRUIT_MAX = 3")) == []


def test_a_module_outside_every_room_is_a_fault() -> None:
    assert list(rules.room_faults("gossip/stray.py", ""))


def test_a_module_nobody_imports_is_dead() -> None:
    files = {
        "gossip/__init__.py": "from .used import x",
        "gossip/used.py": "",
        "gossip/named.py": "",
        "gossip/table.py": "COMMANDS = {'a': 'gossip.named'}",
        "gossip/dead.py": "import gossip.dead",
    }
    assert list(rules.dead_modules(files, {"gossip.table"})) == [
        "gossip/dead.py:1: nothing imports it"
    ]


UPPER = """
# upper.pxi: early() is only named here, in a comment.
cdef enum:
    SIZE = 4

cdef struct pair_t:
    int late          # a field may be called like a function below

cdef class Upper:
    def early(self):  # so may a method
        pass

cdef int upper(pair_t* pair) noexcept nogil:
    cdef int count = pair.late
    return count + SIZE
"""
LOWER = """
ctypedef int (*call_fn)(void* ctx) noexcept nogil

cdef enum Verdict:
    VERDICT_NONE = 0

cdef uint32_t[3] TABLE = [1, 2, 3]
cdef object nothing

cdef int late(pair_t* pair) noexcept nogil:
    return upper(pair) + SIZE

cdef inline const uint8_t* early(pair_t* pair,
                                 int n) noexcept nogil:
    return NULL

cdef class Face:
    cdef int count

def face():
    return 1
"""


def order_faults(**files: str) -> list[str]:
    return list(cython_rules.order_faults(list(files), files))


def test_every_kind_of_definition_is_seen() -> None:
    assert cython_rules.defined(UPPER) == {"SIZE", "pair_t", "Upper", "upper"}
    assert cython_rules.defined(LOWER) == {
        *("call_fn", "Verdict", "VERDICT_NONE", "TABLE", "nothing"),
        *("late", "early", "Face", "face"),
    }


def test_a_file_may_use_what_stands_above_it_and_not_below() -> None:
    assert order_faults(upper=UPPER, lower=LOWER) == []
    assert order_faults(lower=LOWER, upper=UPPER) == [
        f"lower:{line}: uses {name} of upper, which is included below it"
        for line, name in [(11, "SIZE"), (10, "pair_t"), (11, "upper")]
    ]


def test_a_core_file_left_out_or_included_twice_is_a_fault() -> None:
    core = 'include "core/a.pxi"  # first\ninclude "core/b.pxi"\ninclude "core/b.pxi"\n'
    order = cython_rules.includes(core)
    assert order == ["a.pxi", "b.pxi", "b.pxi"]
    faults = cython_rules.inclusion_faults(order, dict.fromkeys(["a.pxi", "b.pxi", "c.pxi"], ""))
    assert list(faults) == ["b.pxi:1: included 2 times", "c.pxi:1: included 0 times"]


def test_the_wheel_check_names_what_does_not_belong() -> None:
    name = "gossip_core-1-cp311-abi3-linux_x86_64.whl"
    good = [*check_wheel.NEEDED, "gossip/_io/pump.py", "gossip_core-1.dist-info/METADATA"]
    assert check_wheel.faults(name, good) == []
    assert check_wheel.faults(name, good[1:]) == [f"missing: {good[0]}"]
    for bad in ("gossip/_core.pyx", "gossip/core/swim.pxi", "gossip/x.c", "tests/a.py"):
        (fault,) = check_wheel.faults(name, [*good, bad])
        assert bad in fault
    assert check_wheel.faults(name, [*good, "gossip/_udp.cpython-311-x86_64-linux-gnu.so"])
    assert check_wheel.faults("gossip_core-1-cp311-cp311-linux_x86_64.whl", good)
