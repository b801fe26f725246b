"""The rules that need only Python's own parser, as functions from source text to faults.

A fault is `path:line: what`. Nothing here reads a file, so each rule can be shown bad text.
What is special about Cython stands in `cython_rules`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

LINE_CHARACTERS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

# Where code lives, lowest room first, and from which rooms it may import.
ROOMS: Mapping[str, frozenset[str]] = {
    "values": frozenset({"values"}),
    "core": frozenset({"values", "core"}),
    "keyring": frozenset({"values", "core", "keyring"}),
    "serf": frozenset({"values", "core", "keyring", "serf"}),
    "sim": frozenset({"values", "core", "keyring", "serf", "sim"}),
    "io": frozenset({"values", "core", "keyring", "serf", "io"}),
    "facade": frozenset({"values", "core", "keyring", "serf", "io", "facade"}),
    "agent": frozenset({"values", "core", "keyring", "serf", "io", "facade", "agent"}),
}

# The first name under `gossip` decides the room; the package itself is the public face.
ROOM_OF = {
    "": "facade",
    **dict.fromkeys(
        ("errors", "events", "members", "keys", "config", "node_config", "reports"), "values"
    ),
    **dict.fromkeys(("_checks", "_translate"), "values"),
    **dict.fromkeys(("_core", "_udp", "_worker", "_evp", "_sim"), "core"),
    **dict.fromkeys(("keyring", "_aead"), "keyring"),
    "_serf": "serf",
    "sim": "sim",
    "_io": "io",
    **dict.fromkeys(("memberlist", "node", "blocking"), "facade"),
    "agent": "agent",
}

# The sans-I/O rooms take time, seed and bytes as arguments.
PURE_ROOMS = frozenset({"values", "core", "serf", "sim"})
IMPURE = frozenset(["asyncio", "socket", "select", "time", "random", "os", "threading", "logging"])

# Written in pieces, so that this file does not break its own rules.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
STRANGERS = re.compile(
    r"(?<![\w./-])/(?:work|root|farm|home|Users|tmp/wt)/"
    r"|\b(?:pypi|files\.pythonhosted|test\.pypi)\.org\b"
    r"|\b(?:proxy|sum)\.golang\.org\b"
    r"|--(?:extra-)?index-url\b|--(?:find)-links\b|\bGOPROXY="
)


def long_lines(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_CHARACTERS_MAX:
            yield f"{path}:{number}: {len(line)} characters, at most {LINE_CHARACTERS_MAX}"


def long_file(path: str, text: str) -> Iterator[str]:
    count = len(text.splitlines())
    if count > FILE_LINES_MAX:
        yield f"{path}:{count}: {count} lines, at most {FILE_LINES_MAX}"


def long_functions(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from long_span(path, node.name, node.lineno, node.end_lineno or node.lineno)


def long_span(path: str, name: str, first: int, last: int) -> Iterator[str]:
    if last - first + 1 > FUNCTION_LINES_MAX:
        yield (f"{path}:{first}: {name} has {last - first + 1} lines, at most {FUNCTION_LINES_MAX}")


def matches(pattern: re.Pattern[str], path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        found = pattern.search(line)
        if found:
            yield f"{path}:{number}: {found.group().strip()!r}"


def sleeps(path: str, text: str) -> Iterator[str]:
    """A test waits for what it waits for; `asyncio.sleep(0)` only gives the loop a turn."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Name):
            name = node.func.id
        yields_only = (
            node.args and isinstance(node.args[0], ast.Constant) and not node.args[0].value
        )
        if name == "sleep" and not yields_only:
            yield f"{path}:{node.lineno}: sleeps"


def module_of(path: str) -> str:
    """`gossip/_io/pump.py` is `gossip._io.pump`; a package is called as its folder."""
    return re.sub(r"(/__init__)?\.(py|pyx|pyi)$", "", path).replace("/", ".")


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return ROOM_OF.get(parts[1] if len(parts) > 1 else "")


def imported(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Every (line, dotted name) a module imports; `from a import b` gives `a.b`."""
    package = module_of(path).split(".")
    if not path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def room_faults(path: str, text: str) -> Iterator[str]:
    """Imports from a room that this module's room may not use, and impure modules in pure rooms."""
    room = room_of(module_of(path))
    if room is None:
        yield f"{path}:1: belongs to no room of the architecture"
        return
    for line, name in imported(path, text):
        first = name.split(".")[0]
        if first == "gossip":
            other = room_of(name) or "facade"
            if other not in ROOMS[room]:
                yield f"{path}:{line}: {room} imports {name} of {other}"
        elif first in IMPURE and room in PURE_ROOMS:
            yield f"{path}:{line}: {room} imports {name}"


def mentions(path: str, text: str) -> set[str]:
    """What a module imports or names in a string, with each prefix of a dotted name."""
    names = {name for _, name in imported(path, text)}
    names |= {
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {".".join(name.split(".")[:end]) for name in names for end in range(1, 7)}


def dead_modules(files: Mapping[str, str], entry_points: Iterable[str]) -> Iterator[str]:
    """Python modules that no other module mentions; what pytest collects is alive by itself."""
    alive = set(entry_points)
    said = {path: mentions(path, text) for path, text in files.items()}
    for path in files:
        module, name = module_of(path), path.rsplit("/", 1)[-1]
        if name in ("__init__.py", "__main__.py", "conftest.py", "setup.py") or name.startswith(
            ("test_", "bench_")
        ):
            continue
        others = (names for other, names in said.items() if other != path)
        if module not in alive and not any(module in names for names in others):
            yield f"{path}:1: nothing imports it"
