"""Builds the loops of the benchmarks in place; run from the root of the repository."""

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True, "binding": False}
FLAGS = ["-O3", "-fno-strict-aliasing", "-Wno-unused-function"]

setup(
    name="gossip-bench",
    ext_modules=cythonize(
        [
            Extension(f"bench.{name}", [f"bench/{name}.pyx"], extra_compile_args=FLAGS)
            for name in ("_loop", "_codec")
        ],
        compiler_directives=DIRECTIVES,
        language_level=3,
        force=True,
    ),
    packages=[],
)
