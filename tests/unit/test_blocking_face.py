"""`gossip.blocking` is the API for asyncio without async, name by name: nothing drifts apart."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_overloads

import pytest

import gossip
from gossip import blocking
from gossip.blocking.twins import without_async

# Each class for asyncio, and its blocking twin.
TWINS = [
    (gossip.Memberlist, blocking.Memberlist),
    (gossip.Node, blocking.Node),
    (gossip.Subscription, blocking.Subscription),
    (gossip.Query, blocking.Query),
    (gossip.PoolKeys, blocking.PoolKeys),
]
NODES = TWINS[:2]

WITHOUT_ASYNC = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}

# How the library itself feeds what users read from.
NOT_FOR_USERS = {"publish", "lose", "wants", "put", "end"}

TIMEOUT = inspect.Parameter(
    "timeout", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="float | None"
)


def face(cls: type) -> dict[str, Any]:
    """What a class offers its users, with what it inherits."""
    names = {
        name: each
        for base in reversed(cls.__mro__[:-1])
        for name, each in vars(base).items()
        if not name.startswith("_") or name in {*WITHOUT_ASYNC, *WITHOUT_ASYNC.values()}
    }
    return {name: each for name, each in names.items() if name not in NOT_FOR_USERS}


def attributes(cls: type) -> set[str]:
    """The public ones that its objects get when they are made."""
    return set(re.findall(r"^ +self\.([a-z]\w*)(?:: [^=]+)? = ", inspect.getsource(cls), re.M))


def same_name(name: str) -> str:
    return WITHOUT_ASYNC.get(name, name)


def function(each: Any) -> Any:
    return each.fget if isinstance(each, property) else getattr(each, "__func__", each)


def said_by(each: Any) -> str:
    return inspect.cleandoc(getattr(each, "__func__", each).__doc__ or "")


def pairs() -> list[Any]:
    return [
        pytest.param(each, face(twin).get(same_name(name)), id=f"{cls.__name__}.{name}")
        for cls, twin in TWINS
        for name, each in face(cls).items()
    ]


@pytest.mark.parametrize(("cls", "twin"), TWINS)
def test_both_have_the_same_names(cls: type, twin: type) -> None:
    theirs = {same_name(name) for name in face(cls)} | attributes(cls)
    assert face(twin).keys() | attributes(twin) == theirs


@pytest.mark.parametrize(("one", "twin"), pairs())
def test_both_are_called_the_same_way(one: Any, twin: Any) -> None:
    assert type(one) is type(twin)
    assert not inspect.iscoroutinefunction(function(twin))
    expected = inspect.signature(function(one))
    found = inspect.signature(function(twin))
    if found != expected and "timeout" not in expected.parameters and may_wait(function(one)):
        last = [p for p in expected.parameters.values() if p.kind is p.VAR_KEYWORD]
        assert not last
        parameters = [*expected.parameters.values(), TIMEOUT]
        expected = expected.replace(parameters=parameters)
    assert found == expected


def may_wait(one: Any) -> bool:
    """Who waits without async needs a time limit where a coroutine is simply cancelled."""
    given = str(one.__annotations__["return"])
    return inspect.iscoroutinefunction(one) or given.startswith("Subscription[")


@pytest.mark.parametrize(("one", "twin"), pairs())
def test_both_say_the_same_about_themselves(one: Any, twin: Any) -> None:
    assert said_by(twin).startswith(without_async(said_by(one)))


@pytest.mark.parametrize(("cls", "twin"), NODES)
def test_nodes_are_made_the_same_way(cls: Any, twin: Any) -> None:
    assert inspect.signature(cls) == inspect.signature(twin)
    assert said_by(twin.__init__).startswith(said_by(cls.__init__))


@pytest.mark.parametrize(("cls", "twin"), TWINS)
def test_every_call_that_waits_takes_a_timeout(cls: Any, twin: Any) -> None:
    for name, each in face(cls).items():
        if inspect.iscoroutinefunction(each) and not name.startswith("_"):
            assert "timeout" in inspect.signature(getattr(twin, name)).parameters


def test_the_types_of_events_are_told_to_type_checkers_alike() -> None:
    ours, theirs = (
        [inspect.signature(each) for each in get_overloads(cls.events)]
        for cls in (blocking.Memberlist, gossip.Memberlist)
    )
    assert ours == [
        each.replace(parameters=[*each.parameters.values(), TIMEOUT]) for each in theirs
    ]
