"""Filters of queries: which nodes a query is for (Serf §11.2).

A tag filter is a regular expression of RE2's language, searched anywhere in the value. Patterns
come from peers, so they run only in `google-re2`, whose time is linear in the value, and with
little memory. Where that is not installed a pattern without special characters is looked for as it
stands; any other matches nothing and is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

from gossip._serf import bounds
from gossip.errors import ArgumentError
from gossip.members import encode_name

_SPECIAL = frozenset(b"\\.+*?()|[]{}^$")

Search: TypeAlias = Callable[[bytes], object]


class PatternError(ValueError):
    """A pattern cannot be used; the text says why."""


@cache
def engine() -> Any:
    """google-re2, loaded by who needs it first, as it is large; None where it is not installed."""
    try:
        import re2
    except ModuleNotFoundError:
        return None
    return re2


def compile_pattern(pattern: bytes) -> Search:
    """A function that looks for the pattern anywhere in a value. Raises PatternError."""
    if len(pattern) > bounds.PATTERN_BYTES:
        raise PatternError(f"a pattern has at most {bounds.PATTERN_BYTES} bytes")
    if not _SPECIAL.intersection(pattern):
        return lambda value: pattern in value
    re2 = engine()
    if re2 is None:
        raise PatternError(
            "patterns need google-re2: install gossip-core[serf]; without it only text without "
            "special characters can be looked for"
        )
    if b"\\C" in pattern:
        raise PatternError("\\C is not of Go's language")  # it would cut characters in pieces
    options = re2.Options()
    options.max_mem = bounds.PATTERN_MEMORY_BYTES
    options.log_errors = False
    options.never_capture = True
    try:
        search: Search = re2.compile(pattern, options).search
    except re2.error as error:
        said = error.args[0] if error.args else "cannot be compiled"
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise PatternError(text) from None
    return search


class Patterns:
    """Judges tags by patterns; keeps the compiled ones it used last. Who makes one is ready to
    judge: nothing is loaded when the first pattern comes.

    refused: how many judgements came out as "no match" because the pattern could not be used.
    """

    def __init__(self) -> None:
        engine()
        self.refused = 0
        self._kept: OrderedDict[bytes, Search | None] = OrderedDict()

    def match(self, filters: Iterable[tuple[bytes, bytes]], tags: Mapping[str, str]) -> bool:
        """Whether each (tag, pattern) is found; a tag that is missing has the value ""."""
        for tag, pattern in filters:
            search = self._search(pattern)
            if search is None:
                self.refused += 1
                return False
            value = encode_name(tags.get(tag.decode("utf-8", "surrogateescape"), ""))
            if not search(value):
                return False
        return True

    def _search(self, pattern: bytes) -> Search | None:
        if pattern in self._kept:
            self._kept.move_to_end(pattern)
            return self._kept[pattern]
        search: Search | None
        try:
            search = compile_pattern(pattern)
        except PatternError:
            search = None
        if len(pattern) <= bounds.PATTERN_BYTES:
            self._kept[pattern] = search
        if len(self._kept) > bounds.PATTERNS_KEPT:
            self._kept.popitem(last=False)
        return search


def check_patterns(tags: Mapping[str, str]) -> None:
    """Raises ArgumentError for a pattern of our own that no node could use."""
    for tag, expression in tags.items():
        try:
            compile_pattern(encode_name(expression))
        except PatternError as error:
            raise ArgumentError(f"the pattern {expression!r} of tag {tag!r}: {error}") from None
