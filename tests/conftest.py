"""Which `gossip` the tests see, said out loud. Not a place for fixtures of one room.

The checkout holds the source package beside `tests/`, and without its extensions it cannot be
imported. So: `pytest` tests the installed package, `python -m pytest` an extension built in place.
Where the checkout has no extension it is moved behind the installed package, and a child process
of a test sees what the test sees.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# A gate must give the same answer for the same commit: in CI the examples do not change from run to
# run. Everywhere else they do, and a failure prints how to repeat it.
settings.register_profile(
    "gossip", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("gossip")


def put_the_checkout_in_its_place() -> None:
    """Keeps the checkout's place in `sys.path` if it was built, else moves it to the end.

    The end is where `tests` itself is found: helpers are imported as `tests.unit.name`.
    """
    first = [entry for entry in sys.path if Path(entry or ".").resolve() == ROOT]
    built = any((ROOT / "gossip").glob("_core*.so"))
    if not (first and built):
        sys.path[:] = [entry for entry in sys.path if entry not in first] + [str(ROOT)]


def tested_package() -> Path:
    """Where the package under test lies; raises UsageError when there is none."""
    try:
        import gossip
        import gossip._core
    except ImportError as error:
        raise pytest.UsageError(
            f"gossip cannot be imported ({error}): run `pip install '.[test]'` and then `pytest`, "
            "or `python setup.py build_ext --inplace` and then `python -m pytest`"
        ) from error
    assert gossip.__file__ is not None
    return Path(gossip.__file__).resolve().parent


# An extension built in place has no entry points.
pytest_plugins = ["pytester", "gossip.sim.plugin"]

put_the_checkout_in_its_place()
PACKAGE = tested_package()
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = str(PACKAGE.parent)


def pytest_report_header() -> str:
    return f"gossip: {PACKAGE}"
