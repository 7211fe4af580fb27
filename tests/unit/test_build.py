"""The compiled core is there, and built from the sources that lie beside it."""

from __future__ import annotations

import importlib
import importlib.machinery
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastpath

SOURCES = Path(fastpath.__file__).parent
MODULES = sorted(path.stem for path in SOURCES.glob("*.pyx"))
_DEPENDS = re.compile(
    r'^\s*(?:from fastpath\.(\w+) cimport|include "(\w+\.pxi)"|cdef extern from "(\w+\.h)")', re.M
)


def inputs(path: Path, known: set[Path] | None = None) -> set[Path]:
    """Return a source and every pxd, pxi and header of ours that it is compiled with."""
    known = set() if known is None else known
    if path in known or not path.exists():
        return known
    known.add(path)
    if path.suffix == ".pyx":
        inputs(path.with_suffix(".pxd"), known)
    for module, included, header in _DEPENDS.findall(path.read_text()):
        inputs(SOURCES / (f"{module}.pxd" if module else included or header), known)
    return known


def test_the_package_has_its_modules() -> None:
    assert {"arena", "hashes", "keywords", "posts", "records", "screen", "text", "windows"} <= set(
        MODULES
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_compiled_module_is_no_older_than_its_sources(name: str) -> None:
    """Modification times tell: a build comes after the checkout, an edit after the build."""
    module = importlib.import_module(f"fastpath.{name}")
    assert isinstance(module.__loader__, importlib.machinery.ExtensionFileLoader), module
    built = Path(str(module.__file__)).stat().st_mtime_ns
    stale = [
        path.name for path in inputs(SOURCES / f"{name}.pyx") if path.stat().st_mtime_ns > built
    ]
    assert not stale, f"fastpath.{name} is older than {stale}: build it again in place (see README)"


def test_inputs_follow_cimports_and_includes() -> None:
    names = {path.name for path in inputs(SOURCES / "screen.pyx")}
    assert {
        "screen.pyx",
        "screen.pxd",
        "gates.pxi",
        "posts.pxd",
        "arena.pxd",
        "windows.pxd",
    } <= names


@pytest.mark.parametrize("name", MODULES)
def test_import_fails_without_a_compiled_module(name: str) -> None:
    """No module has a stand-in: with one of them hidden the package does not import."""
    hide = (
        f"import sys; sys.modules['fastpath.{name}'] = None\n"
        "try:\n    import fastpath\nexcept ImportError:\n    sys.exit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", hide], cwd=SOURCES.parent)
    assert done.returncode == 3


def test_fastpath_imports_nothing_of_the_worker() -> None:
    look = (
        "import sys, fastpath, fastpath.reference.screen\n"
        "sys.exit(any(n.split('.')[0] in ('worker', 'kafka', 'pydantic') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", look], cwd=SOURCES.parent).returncode == 0


def test_the_build_names_itself() -> None:
    assert fastpath.BACKEND == "compiled"
    assert fastpath.UNICODE_VERSION == "15.0.0"
    assert fastpath.ISA in ("scalar", "avx2", "avx512")
