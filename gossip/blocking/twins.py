"""How a blocking class says of itself what its twin for asyncio says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def without_async(doc: str) -> str:
    """What is said about a class for asyncio, said about its blocking twin."""
    return doc.replace("async with", "with").replace("async for", "for")


def documented_by(twin: type) -> Callable[[Class], Class]:
    """Gives methods and properties that say nothing about themselves what their twins say."""

    def document(cls: Class) -> Class:
        for name, own in vars(cls).items():
            doc = getattr(getattr(twin, name, None), "__doc__", None)
            said = getattr(own, "__func__", own)  # of a classmethod, the function
            if not name.startswith("_") and said.__doc__ is None and doc is not None:
                said.__doc__ = without_async(doc)
        return cls

    return document
