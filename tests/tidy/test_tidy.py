"""The source keeps its own rules (ARCHITECTURE.md, CONTRIBUTING.md): one test a rule."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import cython_rules, rules

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {"build", "dist", "bin", "__pycache__", "node_modules"}
TEXT = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".md", ".toml", ".go", ".mod", ".sh", ".in", ""}
CODE = {".py", ".pyi", ".pyx", ".pxd", ".pxi"}


def tree() -> Iterator[str]:
    """The project's own text files, relative to its root; hidden folders but .ci are not ours."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in sorted(folders)
            if name not in NOT_OURS and not name.endswith(".egg-info")
            if not name.startswith(".") or name == ".ci"
        ]
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in TEXT and path.is_file():
                yield str(path.relative_to(ROOT))


FILES = {path: (ROOT / path).read_text() for path in tree() if path != ".git"}
PYTHON = {path: text for path, text in FILES.items() if path.endswith(".py")}
CYTHON = {path: text for path, text in FILES.items() if Path(path).suffix in (".pyx", ".pxi")}
CORE = {Path(path).name: text for path, text in CYTHON.items() if path.startswith("gossip/core/")}
ORDER = cython_rules.includes(FILES["gossip/_core.pyx"])


def assert_none(faults: Iterable[str]) -> None:
    found = sorted(faults)
    assert not found, "\n" + "\n".join(found)


def code_files() -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in FILES.items() if Path(path).suffix in CODE)


def package() -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in PYTHON.items() if path.startswith("gossip/"))


def test_the_tree_was_found() -> None:
    assert {"gossip/__init__.py", "gossip/_core.pyx", "setup.py", "ci/run"} <= FILES.keys()
    assert len(CORE) == len([path for path in FILES if path.startswith("gossip/core/")])


def test_lines_are_at_most_100_characters() -> None:
    assert_none(fault for item in code_files() for fault in rules.long_lines(*item))


def test_files_are_at_most_500_lines() -> None:
    assert_none(fault for item in code_files() for fault in rules.long_file(*item))


def test_functions_are_at_most_70_lines() -> None:
    assert_none(fault for item in PYTHON.items() for fault in rules.long_functions(*item))
    assert_none(fault for item in CYTHON.items() for fault in cython_rules.long_functions(*item))


def test_nothing_is_marked_as_left_for_later() -> None:
    found = (rules.matches(rules.UNFINISHED, path, text) for path, text in code_files())
    assert_none(fault for faults in found for fault in faults)


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = (rules.matches(rules.STRANGERS, path, text) for path, text in FILES.items())
    assert_none(fault for faults in found for fault in faults)


def test_no_test_sleeps() -> None:
    tests = ((path, text) for path, text in PYTHON.items() if path.startswith("tests/"))
    assert_none(fault for item in tests for fault in rules.sleeps(*item))


def test_every_module_imports_only_from_rooms_it_may() -> None:
    assert_none(fault for item in package() for fault in rules.room_faults(*item))


def test_the_core_imports_nothing_of_the_outside() -> None:
    core = {
        path: text
        for path, text in CYTHON.items()
        if path.startswith("gossip/") and path != "gossip/_udp.pyx"
    }
    assert_none(fault for item in core.items() for fault in cython_rules.impure_imports(*item))


def test_the_core_is_a_table_of_contents() -> None:
    path = "gossip/_core.pyx"
    assert_none(cython_rules.contents_only(path, FILES[path]))


def test_every_core_file_is_included_once_and_uses_only_files_above_it() -> None:
    assert_none(cython_rules.inclusion_faults(ORDER, CORE))
    assert_none(cython_rules.order_faults(ORDER, CORE))


def test_pointers_random_numbers_and_bounds_have_one_home_each() -> None:
    assert_none(fault for item in CORE.items() for fault in cython_rules.sole_rights(*item))


def test_core_folder_holds_only_included_text() -> None:
    assert_none(
        f"{path}:1: not a .pxi"
        for path in FILES
        if path.startswith("gossip/core/") and not path.endswith(".pxi")
    )


def test_every_python_file_is_used() -> None:
    scripts = tomllib.loads(FILES["pyproject.toml"])["project"]["scripts"].values()
    entries = {script.split(":")[0] for script in scripts} | run_by_ci()
    assert_none(rules.dead_modules(PYTHON, entries))


def run_by_ci() -> set[str]:
    """Modules the gate runs as programs, by itself or in the script that builds the benchmarks."""
    scripts = FILES["ci/run"] + FILES["bench/peers/build.sh"]
    paths = re.findall(r"([\w/]+\.py)\b", scripts)
    modules = re.findall(r"-m ([\w.]+)", scripts)
    return {rules.module_of(path) for path in paths} | set(modules)


def test_every_extension_has_a_typed_face() -> None:
    published = [Path(path) for path in FILES if path.startswith("gossip/")]
    extensions = {path.stem for path in published if path.suffix == ".pyx"}
    assert extensions == {path.stem for path in published if path.suffix == ".pyi"}
    assert "_core" in extensions


def test_the_changelog_has_a_section_for_this_version() -> None:
    version = tomllib.loads(FILES["pyproject.toml"])["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", FILES["CHANGELOG.md"], re.M)
