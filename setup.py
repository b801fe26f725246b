"""The extension modules and nothing else; all other packaging facts stand in pyproject.toml.

Switches of the environment: GOSSIP_COVERAGE=1 builds for gcov, with the lines of the .pyx and .pxi
files; GOSSIP_SANITIZE=address builds with the address and undefined-behaviour sanitizers,
GOSSIP_SANITIZE=thread with the thread sanitizer. An -O in CFLAGS replaces ours. GOSSIP_PLANTED=1
builds a core that can be told to have bugs, for tests of the simulator's checks (core/planted.pxi).
"""

from __future__ import annotations

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# The oldest CPython whose stable ABI the wheel uses; one wheel serves it and all later ones.
STABLE_ABI = "0x030B0000"

DIRECTIVES: dict[str, object] = {
    "language_level": 3,
    "binding": False,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": False,
    "autotestdict": False,
}

SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
    # What memcpy touches is seen only where it is a call.
    "thread": ["-fsanitize=thread", "-fno-builtin"],
}


def enabled(name: str) -> bool:
    """Whether a build switch of the environment is on."""
    return os.environ.get(name, "0") not in ("", "0")


def sanitizers() -> list[str]:
    """What turns the chosen sanitizers on; nothing when none is chosen."""
    return SANITIZERS[os.environ["GOSSIP_SANITIZE"]] if enabled("GOSSIP_SANITIZE") else []


def compile_arguments() -> list[str]:
    arguments = ["-fno-strict-aliasing", "-Wno-unused-function"]
    if enabled("GOSSIP_COVERAGE"):
        arguments += ["--coverage", "-O0"]
    elif enabled("GOSSIP_SANITIZE"):
        arguments += [*sanitizers(), "-fno-omit-frame-pointer", "-g", "-O1"]
    elif "-O" not in os.environ.get("CFLAGS", ""):
        arguments += ["-O3"]
    return arguments


def link_arguments() -> list[str]:
    return ["--coverage"] if enabled("GOSSIP_COVERAGE") else sanitizers()


def macros() -> list[tuple[str, str | None]]:
    stable: list[tuple[str, str | None]] = [
        ("Py_LIMITED_API", STABLE_ABI),
        ("CYTHON_LIMITED_API", "1"),
    ]
    return [*stable, ("GOSSIP_PLANTED", "1")] if enabled("GOSSIP_PLANTED") else stable


# Where the parts of an extension lie that is more than one file.
PARTS = {"_core": "gossip/core/*.pxi", "_sim": "gossip/sim/*.pxi"}


def extension(source: str) -> Extension:
    name = os.path.basename(source).removesuffix(".pyx")
    faces = sorted(glob("gossip/*.pxd"))
    return Extension(
        f"gossip.{name}",
        [source],
        define_macros=macros(),
        depends=faces + sorted(glob(PARTS.get(name, ""))),
        extra_compile_args=compile_arguments(),
        extra_link_args=link_arguments(),
        py_limited_api=True,
    )


if sys.platform != "linux":
    raise SystemExit("gossip-core builds on Linux only: it calls recvmmsg and sendmmsg")

setup(
    ext_modules=cythonize(
        [extension(source) for source in sorted(glob("gossip/*.pyx"))],
        compiler_directives=DIRECTIVES,
        emit_linenums=enabled("GOSSIP_COVERAGE"),
        force=enabled("GOSSIP_COVERAGE") or enabled("GOSSIP_SANITIZE"),
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
