"""Checks what a wheel holds: extensions, Python, stubs, the marker, the licence; nothing else.

Usage: python ci/check_wheel.py DIST.whl. Prints each file that should not be there, or the missing
part, and exits 1.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import PurePosixPath

ALLOWED = {".so", ".py", ".pyi", ".toml"}
NEEDED = (
    "gossip/_core.abi3.so",
    "gossip/_evp.abi3.so",
    "gossip/_core.pyi",
    "gossip/py.typed",
    "gossip/__init__.py",
)


def faults(wheel_name: str, names: list[str]) -> list[str]:
    """What is wrong with a wheel of this name and these files, one line each."""
    found = [] if "-cp311-abi3-linux" in wheel_name else [f"not a cp311-abi3 wheel: {wheel_name}"]
    for name in names:
        path = PurePosixPath(name)
        if path.parts[0].endswith(".dist-info"):
            continue
        if path.parts[0] != "gossip":
            found.append(f"outside the package: {name}")
        elif path.suffix not in ALLOWED and path.name != "py.typed":
            found.append(f"does not belong in a wheel: {name}")
        elif path.suffix == ".so" and not path.name.endswith(".abi3.so"):
            found.append(f"not a stable ABI extension: {name}")
    return found + [f"missing: {name}" for name in NEEDED if name not in names]


def main(path: str) -> int:
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    found = faults(PurePosixPath(path).name, names)
    print("\n".join(found) or f"{len(names)} files, all as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
