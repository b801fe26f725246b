"""The rules of the Cython core, read with patterns: enough for this code, not a parser.

All functions take source text and give faults `path:line: what`, as in `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .rules import IMPURE, long_span

WORD = r"[A-Za-z_]\w*"

_STRING_OR_COMMENT = re.compile(
    r'"""[\s\S]*?"""'
    r"|'''[\s\S]*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'"
    r"|#[^\n]*"
)
_FUNCTION = re.compile(rf"^( *)(?:cdef|cpdef|async def|def)\b(?! *class\b)[^=\n(]*?({WORD})\(")
_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\b(.*)|c?import\s+(.*))")
_INCLUDE = re.compile(r'^include "core/(\w+\.pxi)"', re.M)

# What only one file may do.
_ARITHMETIC = re.compile(r"\.ptr\s*(?:\+|-(?!>)|\[)|\+\s*\w+\.ptr\b")
_RANDOM = re.compile(
    r"(?<!def )\b(?:rand|srand|rand_r|random|drand48|getrandom|urandom|arc4random\w*)\s*\("
)
_BOUND = re.compile(
    rf"^(?: {{4}})?(?:cdef {WORD} |DEF )?(?!PROTOCOL_)[A-Z]\w*_(?:MAX|LIMIT|WINDOW)\s*=\s*\(?\d"
)
_SOLE = (
    ("cursor.pxi", _ARITHMETIC, "does pointer arithmetic on wire bytes; only cursor may"),
    ("rng.pxi", _RANDOM, "draws random numbers; only rng may"),
    ("limits.pxi", _BOUND, "defines a bound; only limits may"),
)


def code_of(text: str) -> str:
    """The text without comments and strings, every line where it was."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match.group().count("\n") or ("" if match.group()[0] == "#" else '""')

    return _STRING_OR_COMMENT.sub(blank, text)


def long_functions(path: str, text: str) -> Iterator[str]:
    lines = code_of(text).splitlines()
    for start, line in enumerate(lines):
        found = _FUNCTION.match(line)
        if found:
            last = _last_line(lines, start, len(found.group(1)))
            yield from long_span(path, found.group(2), start + 1, last + 1)


def _last_line(lines: Sequence[str], start: int, indent: int) -> int:
    """The last line that holds code of the function that begins at `start`."""
    depth, last = 0, start
    for number in range(start, len(lines)):
        line = lines[number]
        inside = depth > 0 or number == start
        depth += line.count("(") - line.count(")")
        if not line.strip():
            continue
        if not inside and len(line) - len(line.lstrip()) <= indent and line.strip() != "):":
            break
        last = number
    return last


def imports_of(text: str) -> Iterator[tuple[int, str]]:
    """Every (line, dotted module) that Cython code imports or cimports."""
    for number, line in enumerate(code_of(text).splitlines(), 1):
        found = _IMPORT.match(line)
        if not found:
            continue
        if found.group(1):
            yield number, found.group(1)
        else:
            yield from ((number, name.split()[0]) for name in found.group(3).split(",") if name)


def impure_imports(path: str, text: str) -> Iterator[str]:
    for number, name in imports_of(text):
        if IMPURE & set(name.split(".")):
            yield f"{path}:{number}: the core imports {name}"


def includes(core: str) -> list[str]:
    """The files a table of contents includes, in order."""
    return _INCLUDE.findall(core)


def contents_only(path: str, text: str) -> Iterator[str]:
    """`_core.pyx` is a table of contents: cimports and includes."""
    for number, line in enumerate(code_of(text).splitlines(), 1):
        if line.strip() not in ("", '""') and not re.match(
            r"from |cimport |import |include ", line
        ):
            yield f"{path}:{number}: code in the table of contents"


def sole_rights(name: str, text: str) -> Iterator[str]:
    for owner, pattern, what in _SOLE:
        if name == owner:
            continue
        for number, line in enumerate(code_of(text).splitlines(), 1):
            if pattern.search(line):
                yield f"{name}:{number}: {what}"


def defined(text: str) -> set[str]:
    """Names a .pxi gives to the files below it: functions, types, constants, variables."""
    names: set[str] = set()
    block = ""
    for line in code_of(text).splitlines():
        if line and not line[0].isspace():
            block = line
            names |= _top_level_names(line)
        elif re.match(r"cdef enum\b", block):
            names |= set(re.findall(rf"^ {{4}}({WORD})", line))
    return names


def _top_level_names(line: str) -> set[str]:
    named = re.match(rf"(?:cdef |cpdef |ctypedef )?(?:struct|union|enum|class) ({WORD})", line)
    if named:
        return {named.group(1)}
    if re.match(r"c?import |from |include |@|cdef (?:enum|extern)", line):
        return set()
    pointer = re.match(rf"ctypedef .*\(\*({WORD})\)", line)
    if pointer:
        return {pointer.group(1)}
    function = _FUNCTION.match(line)
    if function:
        return {function.group(2)}
    left = re.match(rf"(?:cdef |ctypedef ).*?({WORD})\s*(?:\[\w*\])?\s*(?:=|$)", line)
    assigned = left or re.match(rf"({WORD})\s*(?::[^=]*)?=[^=]", line)
    return {assigned.group(1)} if assigned else set()


def used(text: str) -> dict[str, int]:
    """Names a file uses and does not declare itself anywhere, with the first line of each."""
    code = code_of(text)
    declared = set(re.findall(rf"\b{WORD}(?:[ *\]]+\**| \[)({WORD})\s*(?=[,=)\n\[:])", code))
    declared |= set(re.findall(rf"^ +(?:cdef|cpdef|def)\b[^=\n(]*?({WORD})\(", code, re.M))
    names: dict[str, int] = {}
    for number, line in enumerate(code.splitlines(), 1):
        for name in re.findall(rf"(?<![\w.])({WORD})\b(?!\s*=[^=])", line):
            if name not in declared:
                names.setdefault(name, number)
    return names


def order_faults(order: Sequence[str], files: Mapping[str, str]) -> Iterator[str]:
    """Uses of a name that is defined only in a file included further down."""
    definitions = {name: defined(files[name]) for name in order}
    for position, name in enumerate(order):
        known = set().union(*(definitions[upper] for upper in order[: position + 1]))
        here = used(files[name])
        for lower in order[position + 1 :]:
            for word in sorted((definitions[lower] - known) & here.keys()):
                yield f"{name}:{here[word]}: uses {word} of {lower}, which is included below it"


def inclusion_faults(order: Sequence[str], files: Mapping[str, str]) -> Iterator[str]:
    """Files of core/ that are not included, and files included twice."""
    for name in sorted(files):
        if order.count(name) != 1:
            yield f"{name}:1: included {order.count(name)} times"
