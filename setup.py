"""The extension modules and nothing else; all other packaging facts stand in pyproject.toml."""

from __future__ import annotations

import os
import sys

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
}


def enabled(name: str) -> bool:
    """Whether a build switch of the environment is on."""
    return os.environ.get(name, "0") not in ("", "0")


def compile_arguments() -> list[str]:
    arguments = ["-O3", "-fno-strict-aliasing", "-Wno-unused-function"]
    if enabled("GOSSIP_COVERAGE"):
        arguments += ["--coverage", "-O0"]
    if enabled("GOSSIP_SANITIZE"):
        arguments += [
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
            "-fno-omit-frame-pointer",
            "-g",
            "-O1",
        ]
    return arguments


def link_arguments() -> list[str]:
    arguments: list[str] = []
    if enabled("GOSSIP_COVERAGE"):
        arguments += ["--coverage"]
    if enabled("GOSSIP_SANITIZE"):
        arguments += ["-fsanitize=address,undefined"]
    return arguments


def extension(name: str, depends: list[str]) -> Extension:
    return Extension(
        f"gossip.{name}",
        [f"gossip/{name}.pyx"],
        define_macros=[("Py_LIMITED_API", STABLE_ABI), ("CYTHON_LIMITED_API", "1")],
        depends=depends,
        extra_compile_args=compile_arguments(),
        extra_link_args=link_arguments(),
        py_limited_api=True,
    )


def core_files() -> list[str]:
    return sorted(f"gossip/core/{name}" for name in os.listdir("gossip/core"))


if sys.platform != "linux":
    raise SystemExit("gossip-core builds on Linux only: it calls recvmmsg and sendmmsg")

setup(
    ext_modules=cythonize(
        [extension("_core", core_files() + ["gossip/_core.pxd"])]
        + ([extension("_udp", ["gossip/_core.pxd"])] if os.path.exists("gossip/_udp.pyx") else []),
        compiler_directives=DIRECTIVES,
        emit_linenums=enabled("GOSSIP_COVERAGE"),
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
