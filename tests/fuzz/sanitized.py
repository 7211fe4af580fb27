"""Run Python on the core built with sanitizers, in the environment that they need.

`make build/sanitized/built` builds it. What follows the name of this module goes to Python:
`python -m tests.fuzz.sanitized -m pytest tests/parity`. Every pytest started so, children of tests
included, has this module as a plugin: it refuses to test any other build, and draws a share of the
examples of each property, since the twin beside the core takes most of the time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test, settings

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "sanitized"
SHARE = 5  # one in so many examples; the fuzz targets do the long search
_SETTINGS = "_hypothesis_internal_use_settings"  # where the pinned version keeps them


def environment() -> dict[str, str]:
    """Return the variables under which the sanitized build loads and reports."""
    import atheris

    return {
        **os.environ,
        # Address and undefined-behaviour runtimes with libFuzzer, from one library.
        "LD_PRELOAD": str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        # Python keeps memory for its whole life, which is no leak. A build that asks for too
        # much must get NULL, as it would from malloc.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # Python's own allocator would hide the ends of small objects from the sanitizer.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": f"{BUILD}{os.pathsep}{ROOT}",
        # Before the checkout, which pytest would put first.
        "PYTEST_ADDOPTS": f"-p tests.fuzz.sanitized -p no:cacheprovider -o 'pythonpath={BUILD} .'",
    }


def command(arguments: list[str]) -> list[str]:
    """Return the command that runs Python with the sanitized build before the checkout."""
    return [sys.executable, "-P", *arguments]


def require() -> None:
    """Refuse to go on with a core that no sanitizer watches."""
    import fastpath.arena
    import fastpath.isa

    for module in (fastpath.arena, fastpath.isa):
        if not Path(module.__file__).is_relative_to(BUILD):
            raise SystemExit(f"{module.__file__} is not in {BUILD}: run make build/sanitized/built")


def pytest_configure() -> None:
    """Check the build before a test runs."""
    require()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Cut the examples of a property."""
    test = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
    if not is_hypothesis_test(test):
        return
    given = getattr(test, _SETTINGS, settings.default)
    fewer = settings(given, max_examples=max(1, given.max_examples // SHARE))
    setattr(test, _SETTINGS, fewer)


if __name__ == "__main__":
    line = command(sys.argv[1:])
    os.execve(line[0], line, environment())
