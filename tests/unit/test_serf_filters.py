"""Filters of queries (Serf §11.2)."""

from __future__ import annotations

import pytest

from gossip._serf import bounds, filters
from gossip._serf.filters import Patterns, check_patterns
from gossip.errors import ArgumentError

TAGS = {"role": "web-12", "dc": "ams", "city": "Zürich"}

# Pattern, value, what Go's regexp says: searched anywhere, without anchors.
GO = [
    ("web", "web-12", True),
    ("12", "web-12", True),
    ("^12", "web-12", False),
    ("^web-[0-9]+$", "web-12", True),
    ("^web$", "web-12", False),
    ("(?i)WEB", "web-12", True),
    ("WEB", "web-12", False),
    ("", "web-12", True),
    ("", "", True),
    ("^$", "", True),
    ("a|b", "cab", True),
    ("w.b", "web", True),
    ("w.b", "w\nb", False),
    ("(?s)w.b", "w\nb", True),
    ("b$", "b\nc", False),
    ("(?m)b$", "b\nc", True),
    (r"Z\pLrich", "Zürich", True),
    ("Z.rich", "Zürich", True),
    (r"\d{2}", "web-12", True),
    (r"\Qw.b\E", "web", False),
    (r"(a)\1", "aa", False),
    ("(?=a)a", "a", False),
    ("a**", "a", False),
    ("[", "[", False),
    ("(", "(", False),
    (r"\C", "a", False),
    ("a{1001}", "a" * 1001, False),
]


@pytest.mark.parametrize(("pattern", "value", "expected"), GO)
def test_patterns_match_as_in_go(pattern: str, value: str, expected: bool) -> None:
    patterns = Patterns()
    for _ in range(2):  # the second time from what was kept
        assert patterns.match([(b"t", pattern.encode())], {"t": value}) is expected


def test_all_filters_must_match_and_a_missing_tag_is_empty() -> None:
    patterns = Patterns()
    assert patterns.match([], TAGS)
    assert patterns.match([(b"role", b"^web"), (b"dc", b"ams")], TAGS)
    assert not patterns.match([(b"role", b"^web"), (b"dc", b"fra")], TAGS)
    assert patterns.match([(b"none", b"^$")], TAGS)
    assert not patterns.match([(b"none", b".")], TAGS)
    assert patterns.refused == 0


def test_patterns_that_cannot_be_used_match_nothing_and_are_counted() -> None:
    patterns = Patterns()
    bad = [b"[", b"\xff{", b"a" * 1025, rb"\pL{1000}", b"\xff.", rb"\C", b"(.*){1001}"]
    for pattern in bad:
        assert not patterns.match([(b"role", pattern)], TAGS)
    assert patterns.refused == len(bad)


def test_what_is_kept_of_many_patterns_is_bounded() -> None:
    patterns = Patterns()
    for number in range(3 * bounds.PATTERNS_KEPT):
        patterns.match([(b"role", f"^web-{number}$".encode())], TAGS)
    assert len(patterns._kept) == bounds.PATTERNS_KEPT


def test_hostile_patterns_take_linear_time() -> None:
    """Python's own engine would need 2^500 steps for each of these."""
    patterns = Patterns()
    value = {"t": "a" * 500}
    for pattern in (b"(a+)+$", b"(a|aa)+$", b"(a*)*b", b"(.*a){20}b", b"(x+x+)+y"):
        patterns.match([(b"t", pattern)], value)
    assert patterns.refused == 0


def test_without_re2_only_plain_text_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "engine", lambda: None)
    patterns = Patterns()
    assert patterns.match([(b"role", b"web-1")], TAGS)
    assert patterns.match([(b"city", "ürich".encode())], TAGS)
    assert not patterns.match([(b"role", b"db")], TAGS)
    assert patterns.refused == 0
    assert not patterns.match([(b"role", b"^web")], TAGS)
    assert patterns.refused == 1


def test_a_pattern_of_our_own_that_no_node_could_use_is_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"pattern '\[' of tag 'role': missing"):
        check_patterns({"role": "["})
